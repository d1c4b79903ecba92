"""Exceptions stand in one tree: drawn in `ringback.errors` and `gateway.errors`, with a status in each class."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import gateway.errors
import ringback.errors
from gateway.errors import ApiError, error_body, error_event, error_type

ROOT = Path(__file__).parents[2]
PACKAGES = ("ringback", "workers", "cli", "gateway")
BRANCH = re.compile(r"^    (?P<indent>(?:│   |    )*)(?:├── |└── )?(?P<name>\w+)(?:  .*)?$")

STANDARD = {
    "ValueError": "a value in a caller's hands: pydantic and settings turn it into their own sentence",
    "TimeoutError": "as asyncio says it: what waits for Postgres or for the upstream catches both alike",
    "TypeError": "a table of the gateway's code contradicts another; the import fails",
    "AssertionError": "a line that cannot be reached",
    "NoFreeConnection": "psycopg's family, as all that Postgres and its connections raise: callers catch one kind",
    "StillAway": "the same: as what the attempt a moment ago raised",
    "NotBegun": "the same: its transaction has not begun, and `Store` runs it again",
    "RemoteProtocolError": "h11's: makes uvicorn answer the request with 4xx",
}
"""What the gateway may raise beside its tree, and why."""


def drawn(module: ModuleType) -> dict[str, str | None]:
    """Each class of the drawing in the module's docstring, and the class that it stands under."""
    found: dict[str, str | None] = {}
    above: list[str] = []
    for line in (module.__doc__ or "").splitlines():
        match = BRANCH.match(line)
        if match is None or (above and "── " not in line):
            continue
        depth = len(match["indent"]) // 4 + ("── " in line)
        found[match["name"]] = above[depth - 1] if depth else None
        above = [*above[:depth], match["name"]]
    return found


@cache
def trees() -> dict[str, ast.Module]:
    """Each module of the packages by its path, read and not imported."""
    files = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


def defined(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each class of a module with the names of its bases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, [ast.unparse(base).rpartition(".")[2] for base in node.bases]


@cache
def exceptions() -> dict[str, tuple[str, list[str]]]:
    """Each exception class of the packages: its file, and its bases."""
    classes = {name: (path, bases) for path, tree in trees().items() for name, bases in defined(tree)}

    def is_exception(name: str) -> bool:
        if name in classes:
            return any(is_exception(base) for base in classes[name][1])
        kind = getattr(builtins, name, None)
        return isinstance(kind, type) and issubclass(kind, BaseException)

    return {name: where for name, where in classes.items() if is_exception(name)}


def test_every_exception_stands_in_the_drawing_under_the_class_that_it_derives_from() -> None:
    theirs, ours = drawn(ringback.errors), drawn(gateway.errors)
    assert theirs["GatewayError"] == ours["GatewayError"] == "RingbackError"
    parents = {
        name: next((base for base in bases if base in exceptions()), None) for name, (_, bases) in exceptions().items()
    }
    assert {**theirs, **ours} == parents, (
        "derive each exception from RingbackError, in gateway/ from GatewayError, and give it a line under its base "
        "class in the drawing of ringback/errors.py, or gateway/errors.py"
    )


def test_the_gateway_s_exceptions_are_drawn_in_its_own_module() -> None:
    own = {name for name, (path, _) in exceptions().items() if path.startswith("gateway/")}
    assert own | {"RingbackError"} == set(drawn(gateway.errors))


def raised() -> Iterator[tuple[str, str]]:
    """What each `raise` of the gateway names: a class, or the class that the called function returns.

    A variable is left out: it holds what was made, or caught, elsewhere.
    """
    files = {path: tree for path, tree in trees().items() if path.startswith("gateway/")}
    functions = {
        node.name: ast.unparse(node.returns)
        for tree in files.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns is not None
    }
    for path, tree in files.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise) or node.exc is None:
                continue
            is_call = isinstance(node.exc, ast.Call)
            *_owners, name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc).split(".")
            named = functions.get(name, "") if is_call and name[:1].islower() else name
            if named.lstrip("_")[:1].isupper():
                yield f"{path}:{node.lineno}", named


def test_every_raise_in_the_gateway_raises_a_class_of_the_tree() -> None:
    found = list(raised())
    odd = [f"{where}: {name}" for where, name in found if name not in exceptions() and name not in STANDARD]
    assert odd == [], "derive these from GatewayError and draw them in gateway/errors.py, or give a reason in STANDARD"
    assert len(found) > 80
    assert {name for name in STANDARD if name not in {name for _, name in found}} == set()


def descendants(kind: type[ApiError]) -> list[type[ApiError]]:
    return [each for child in kind.__subclasses__() for each in (child, *descendants(child))]


@pytest.mark.parametrize("kind", descendants(ApiError), ids=lambda kind: kind.__name__)
def test_an_api_error_has_the_status_that_the_drawing_says_and_says_when_to_come_again(kind: type[ApiError]) -> None:
    assert re.search(rf"\b{kind.__name__} +{kind.status}: ", gateway.errors.__doc__ or "")
    problem = kind("A sentence.", param="p")
    assert problem.body == error_body(kind.status, kind.code, "A sentence.", "p")
    assert ("Retry-After" in problem.headers) == (kind.status in {429, 503})
    assert ("WWW-Authenticate" in problem.headers) == (kind.status == 401)
    assert kind("s", code="c", retry_after=7).headers["Retry-After"] == "7"
    assert kind("s", code="c").body["error"]["code"] == "c"


@pytest.mark.parametrize(
    ("status", "code", "type_"),
    [
        *((status, None, "invalid_request_error") for status in (400, 401, 403, 404, 408, 409, 413, 426, 431)),
        (429, "too_many_secrets", "rate_limit_error"),
        (429, "insufficient_quota", "insufficient_quota"),
        (500, None, "server_error"),
        (503, "unavailable", "server_error"),
    ],
)
def test_the_type_of_an_error_says_whose_it_is(status: int, code: str | None, type_: str) -> None:
    assert error_type(status, code) == type_


def test_an_error_event_has_the_body_of_the_http_error_and_the_client_s_event_id() -> None:
    assert error_event("rb_1", 400, "invalid_json", "A sentence.", None, "mine") == {
        "type": "error",
        "event_id": "rb_1",
        "error": {
            "type": "invalid_request_error",
            "code": "invalid_json",
            "message": "A sentence.",
            "param": None,
            "event_id": "mine",
        },
    }
