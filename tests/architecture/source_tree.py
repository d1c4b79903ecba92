"""What the laws look at: our own source files, and the toy trees on which each law is seen to fail.

A law that has never been seen to fail proves nothing. So each one is a function of a folder: run on the
checkout it must find nothing, run on a toy tree that breaks it, it must name the offender.
"""

from __future__ import annotations

import ast
import gc
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("cli", "gateway", "ringback", "simulator", "workers")
PRODUCT = (*PACKAGES, "migrations")
SURROUNDINGS = ("benchmarks", "examples", "tests")


def modules(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    """Every Python file under those folders of the tree, in a stable order."""
    for folder in folders:
        yield from sorted((root / folder).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    """The module's tree, for reading only: the laws share it."""
    return _parsed(path.read_text(encoding="utf-8"), str(path))


@cache
def _parsed(text: str, filename: str) -> ast.Module:
    """Each text is parsed once: most of what the laws take is this. Trees stay, and no garbage is sought in them."""
    tree = ast.parse(text, filename=filename)
    gc.freeze()
    return tree


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.AST) -> Iterator[Definition]:
    """Each function and class, however deep. No expression is looked into: it can hold neither."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Definition):
            yield child
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from definitions(child)


def imported_names(root: Path, path: Path) -> Iterator[str]:
    """Every absolute name that the module's imports can bind: `from a.b import c` is both `a.b` and `a.b.c`."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*above, node.module) if node.module else above)
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def reaches(name: str, forbidden: tuple[str, ...]) -> bool:
    """Is that name one of the forbidden modules, or something in one?"""
    return any(name == module or name.startswith(module + ".") for module in forbidden)


class Call(NamedTuple):
    where: str
    dotted: str

    @property
    def name(self) -> str:
        """The function's own name, without the object or module it is reached through."""
        return self.dotted.rpartition(".")[2]


def calls(root: Path, path: Path) -> Iterator[Call]:
    """Each call in the module whose function has a name."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield Call(f"{path.relative_to(root)}:{node.lineno}", ast.unparse(node.func))


def committed_files(root: Path = ROOT) -> list[Path]:
    """What a clone holds or the next commit would add; what .gitignore names is no part of the project."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(root / name for name in set(listing.stdout.split("\0")) if name and (root / name).is_file())


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """A toy checkout: the five packages, empty but for the files given as {path: text}."""
    for package in PACKAGES:
        (root / package).mkdir(parents=True, exist_ok=True)
        (root / package / "__init__.py").touch()
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(root).parents:
            if path.suffix == ".py" and folder.name:
                (root / folder / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return root
