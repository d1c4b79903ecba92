"""Whatever gateway and workers start as a task or a thread is named in docs/task-lifetimes.md, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import ROOT, modules, parse, write_tree

LONG_LIVED = ("gateway", "workers")
PAGE = "docs/task-lifetimes.md"
# Which argument of each is what runs: a place, or a keyword.
STARTS: dict[str, int | str] = {
    **dict.fromkeys(("create_task", "ensure_future", "shield", "to_thread", "submit", "run_coroutine_threadsafe"), 0),
    "Errand": 0,
    "run_in_executor": 1,
    "Thread": "target",
}
KEEPERS = ("restarting", "partial")
"""What runs the function that it is given."""
TABLE = re.compile(r"^\| (?:task|thread) \|.*\n\|[ \-|]+\n((?:\|.*\n?)+)", re.MULTILINE)
NAMED = re.compile(r"^\| `((?:\w+\.)*\w+)` \|", re.MULTILINE)


class Started(NamedTuple):
    where: str
    name: str
    """The function's own name; `?` and the expression where it cannot be told."""


def started(root: Path) -> list[Started]:
    """Each function that is handed to something that runs it beside its caller."""
    return [
        Started(f"{path.relative_to(root)}:{call.lineno}", name)
        for path in modules(root, LONG_LIVED)
        for call, holder in _calls(parse(path), None)
        for name in _names(_what_runs(call), holder, parse(path))
    ]


def named(root: Path) -> list[str]:
    """What the tables of the page name, without the class."""
    tables = TABLE.findall((root / PAGE).read_text(encoding="utf-8"))
    return [name.rpartition(".")[2] for table in tables for name in NAMED.findall(table)]


def unnamed(root: Path) -> list[Started]:
    known = named(root)
    return [one for one in started(root) if one.name not in known]


def never_started(root: Path) -> list[str]:
    known = {one.name for one in started(root)}
    return [name for name in named(root) if name not in known]


Holder = ast.FunctionDef | ast.AsyncFunctionDef | None


def _calls(node: ast.AST, holder: Holder) -> Iterator[tuple[ast.Call, Holder]]:
    """Each call that starts something, with the function in which it stands."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and _called(child) in STARTS:
            yield child, holder
        inner = child if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else holder
        yield from _calls(child, inner)


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _what_runs(call: ast.Call) -> ast.expr:
    which = STARTS[_called(call)]
    if isinstance(which, int):
        return call.args[which]
    return next(keyword.value for keyword in call.keywords if keyword.arg == which)


def _names(what: ast.expr, holder: Holder, module: ast.Module) -> list[str]:
    """The functions that an expression may stand for: itself, or all that a variable may hold."""
    if isinstance(what, ast.Call):
        return _names(what.args[0] if _called(what) in KEEPERS else what.func, holder, module)
    if isinstance(what, ast.Attribute):
        return [what.attr]
    if isinstance(what, ast.Tuple | ast.List):
        return [name for element in what.elts for name in _names(element, holder, module)]
    if isinstance(what, ast.Starred):
        return _names(what.value, holder, module)
    if isinstance(what, ast.Name):
        if any(getattr(node, "name", None) == what.id for node in ast.walk(module)):
            return [what.id]
        if holder is not None and holder.name in STARTS and what.id in {each.arg for each in holder.args.args}:
            return []  # what its callers start
        values = list(_values(what.id, holder, module))
        if values:
            return [name for value in values for name in _names(value, holder, module)]
    return [f"? {ast.unparse(what)}"]


def _values(variable: str, holder: Holder, module: ast.Module) -> Iterator[ast.expr]:
    """What a variable of a function may hold: what is assigned to it, iterated over, or given by its callers."""
    if holder is None:
        return
    for node in ast.walk(holder):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension) and _binds(node.target, variable):
            yield node.iter
        elif isinstance(node, ast.Assign) and any(_binds(target, variable) for target in node.targets):
            yield node.value
    if holder.args.vararg is not None and holder.args.vararg.arg == variable:
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and _called(node) == holder.name:
                yield from node.args


def _binds(target: ast.expr, variable: str) -> bool:
    return isinstance(target, ast.Name) and target.id == variable


def test_whatever_is_started_is_named() -> None:
    assert unnamed(ROOT) == []


def test_whatever_is_named_is_started() -> None:
    assert never_started(ROOT) == []


def test_the_tables_name_each_once() -> None:
    assert len(named(ROOT)) == len(set(named(ROOT))) > len(LONG_LIVED)


HEAD = "| task | does |\n| --- | --- |\n"


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasync def f(): asyncio.create_task(self._hum())",
        "from threading import Thread\nThread(target=_hum, name='x')\ndef _hum(): ...",
        "async def f(g):\n    for loop in (self._sing, g._hum):\n        g.create_task(loop())",
        "async def f(g):\n    more = (self._hum,)\n    for loop in (*more, self._sing):\n        g.create_task(loop())",
        "def run(*loops): return [create_task(loop()) for loop in loops]\nrun(a._sing, a._hum)",
        "async def f(loop): await loop.run_in_executor(None, self._hum, 1)",
        "def f(pool): pool.submit(partial(self._hum, 1))\ndef submit(self, step): self.executor.submit(step)",
    ],
)
def test_what_is_started_and_not_named_is_found(tmp_path: Path, text: str) -> None:
    write_tree(tmp_path, {"gateway/song.py": text, PAGE: f"{HEAD}| `Song._sing` | sings |\n"})
    assert [one.name for one in unnamed(tmp_path)] == ["_hum"]


def test_what_cannot_be_told_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"workers/song.py": "def f(what): Thread(target=what).start()", PAGE: HEAD})
    assert [one.name for one in unnamed(tmp_path)] == ["? what"]


def test_what_is_named_and_never_started_is_found(tmp_path: Path) -> None:
    text = "async def f(g): g.create_task(self._sing())"
    write_tree(tmp_path, {"gateway/song.py": text, PAGE: f"{HEAD}| `Song._sing` | sings |\n| `_hum` | hums |\n"})
    assert never_started(tmp_path) == ["_hum"]
