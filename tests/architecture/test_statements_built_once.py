"""What gateways, workers and sweepers run again and again is built once in a process (`@statement`), never at run time.

Every function of `ringback.statements` that they call is looked at. One that is no `Statement` is called twice: both
times it must give the same text, the very object, which was compiled once.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from inspect import Parameter, signature
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Select, select

from ringback.jobs.outcomes import succeeded
from ringback.postgres.statement import Bound, Statement, bound
from ringback.recordings.audio import Codec, Piece, Voice
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions import lifecycle
from ringback.statements.sessions.session_quota import Limits
from ringback.tables import jobs
from ringback.tools.gate import Gate
from ringback.usage.prices import Usage
from tests.architecture.source_tree import ROOT, modules, parse

AS_ASKED = {
    **dict.fromkeys(("history", "job_search", "erasure"), "asked by a person, in one of many shapes"),
    **dict.fromkeys(("access", "acts", "audit.page_of_acts"), "asked by an operator, in one of many shapes"),
    **dict.fromkeys((f"controls.{name}" for name in ("is_known", "pause", "resume", "limit")), "an operator's act"),
    **dict.fromkeys(("usage.groups", "usage.by_tenant", "usage.minutes"), "a report, in one of many shapes"),
    **dict.fromkeys(("session_end.ask_to_end", "session_end.cancel_calls"), "asked by a person, of a set of sessions"),
    "credentials.keys": "asked by an operator",
    "credentials.keys_in": "asked by an operator",
    "credentials.revoke_secrets": "asked by an operator",
    "recordings.note_listener": "an operator's act",
}
"""Modules and functions whose statements may be built when they are asked, and why."""
SAMPLES: dict[str, Callable[[], Any]] = {
    "UUID": uuid4,
    "str": str,
    "int": int,
    "float": float,
    "timedelta": timedelta,
    "bool": bool,
    "bytes": bytes,
    "NewJob": lambda: NewJob(uuid4(), uuid4(), "call", None, "tool", {}),
    "Outcome": lambda: succeeded(1),
    "Usage": Usage,
    "Gate": lambda: Gate(1.0, 0.0, 0),
    "Limits": lambda: Limits(1, 1),
    "Bound": lambda: lifecycle.open_session(uuid4(), user_id="u", agent="a", model="m", gateway_id="g"),
    "Sequence[Piece]": lambda: [Piece(Voice.MODEL, 1, 0, 20, Codec.PCM, 24_000, b"", b"")],
    "frozenset[Whose]": lambda: frozenset({"user"}),
}


def run_again_and_again() -> Iterator[tuple[str, Any]]:
    """Yield each function of `ringback.statements` that a process calls, by name."""
    found: dict[str, Any] = {}
    for path in (*modules(ROOT, ("gateway", "workers")), ROOT / "ringback" / "sweeper.py"):
        if "ringback.statements" not in path.read_text(encoding="utf-8"):
            continue  # most of them; each collection of the tests comes by here
        tree = parse(path)
        named = dict(imported(tree))
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)) if name in named:
                    function = getattr(named[name], attribute)
                    found[f"{named[name].__name__.rpartition('.')[2]}.{attribute}"] = function
    yield from sorted(found.items())


def imported(tree: ast.Module) -> Iterator[tuple[str, ModuleType]]:
    """Yield the modules of `ringback.statements` that a module imports, by the names that it gives them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ringback.statements"):
            for each in node.names:
                try:
                    yield each.asname or each.name, importlib.import_module(f"{node.module}.{each.name}")
                except ModuleNotFoundError:
                    continue  # a name in the module


def gives_statement(function: Any) -> bool:
    kinds = ("Bound", "list[Bound]", "Select", "Insert", "Update", "Delete", "Returning", "Executable", "tuple[Exec")
    return str(signature(function).return_annotation).startswith(kinds)


def is_built_once(function: Any) -> bool:
    if isinstance(function, Statement):
        return True
    given = {
        name: SAMPLES[str(each.annotation).removesuffix(" | None")]() if each.annotation in SAMPLES else []
        for name, each in signature(function).parameters.items()
        if each.default is Parameter.empty
    }
    first, second = function(**given), function(**given)
    if isinstance(first, list):
        return all(isinstance(each, Bound) for each in first)
    return isinstance(first, Bound) and first.text is second.text


def may_be_built_when_asked(name: str) -> bool:
    return name in AS_ASKED or name.partition(".")[0] in AS_ASKED


FOUND = {name: each for name, each in run_again_and_again() if isinstance(each, Statement) or gives_statement(each)}


@pytest.mark.parametrize("name", [name for name in FOUND if not may_be_built_when_asked(name)])
def test_what_a_process_runs_again_and_again_is_built_once(name: str) -> None:
    assert is_built_once(FOUND[name]), f"{name} builds its statement at each call: put it under @statement"


def test_the_statements_of_a_call_are_among_them() -> None:
    path = {"admission.admit", "transitions.claim", "transitions.finish", "deliveries.read_ready", "deliveries.mark"}
    assert path <= FOUND.keys()
    assert len(FOUND) > 50


def test_each_exception_is_still_one() -> None:
    there = {*FOUND, *(name.partition(".")[0] for name in FOUND)}
    assert sorted(AS_ASKED.keys() - there) == []


def _planted(job_id: UUID) -> Select[Any]:
    return select(jobs.c.id).where(jobs.c.id == job_id)


def _hidden(job_id: UUID) -> Bound:
    return bound(_planted(job_id))


@pytest.mark.parametrize("function", [_planted, _hidden])
def test_a_statement_that_is_built_at_each_call_is_found(function: Any) -> None:
    assert gives_statement(function)
    assert not is_built_once(function)
    assert is_built_once(Statement(_planted))
