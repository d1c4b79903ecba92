"""What a docstring says of arguments is about arguments that there are: one that was renamed is renamed there too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, Definition, definitions, modules, parse, write_tree

ARGUMENTS = re.compile(r"^Args:\n((?:    .*\n|\n)*)", re.MULTILINE)
ENTRY = re.compile(r"^    (\w+):", re.MULTILINE)


def unknown_arguments(root: Path) -> list[str]:
    """Return each argument that a docstring describes and its function or class does not take."""
    return [
        f"{path.relative_to(root)}: {definition.name} takes no {name}"
        for path in modules(root, PACKAGES)
        for definition in definitions(parse(path))
        for name in _described(definition)
        if name not in set(_taken(definition))
    ]


def _described(definition: Definition) -> Iterator[str]:
    section = ARGUMENTS.search(f"{ast.get_docstring(definition) or ''}\n")
    yield from ENTRY.findall(section[1]) if section else ()


def _taken(definition: Definition) -> Iterator[str]:
    """Yield the names of a function's parameters; of a class those of `__init__`, and its fields."""
    if not isinstance(definition, ast.ClassDef):
        given = definition.args
        every = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
        yield from (each.arg for each in every if each is not None)
        return
    for child in definition.body:
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            yield child.target.id
        elif isinstance(child, ast.FunctionDef) and child.name == "__init__":
            yield from _taken(child)


def test_a_docstring_describes_arguments_that_there_are() -> None:
    assert unknown_arguments(ROOT) == []


DOOR = """
class Door:
    '''Door of a room.

    Args:
        {described}: how it opens.
    '''

    {taken}
"""


@pytest.mark.parametrize("taken", ["def __init__(self, width): ...", "width: int", "def open(self, height): ..."])
def test_an_argument_that_is_not_taken_is_found(tmp_path: Path, taken: str) -> None:
    write_tree(tmp_path, {"gateway/door.py": DOOR.format(described="height", taken=taken)})
    assert unknown_arguments(tmp_path) == ["gateway/door.py: Door takes no height"]


@pytest.mark.parametrize(
    "taken", ["def __init__(self, *, height): ...", "def __init__(self, *height): ...", "height: int = 2"]
)
def test_an_argument_that_is_taken_is_none(tmp_path: Path, taken: str) -> None:
    write_tree(tmp_path, {"gateway/door.py": DOOR.format(described="height", taken=taken)})
    assert unknown_arguments(tmp_path) == []
