"""A module fits in one reading, a function on one screen, and a name says what goes on inside."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import (
    PACKAGES,
    PRODUCT,
    ROOT,
    SURROUNDINGS,
    definitions,
    imported_names,
    modules,
    parse,
    write_tree,
)
from tests.architecture.test_deciding_modules import DECIDING, files_of

LONGEST_MODULE = 400
MOST_FILES_IN_A_FOLDER = 15
SMALL_MODULE = 50
LONGEST_FUNCTION = 60
LONG_FUNCTION = 25
MOST_LONG_FUNCTIONS = 0.10

# Words that name no room: whatever has no place of its own ends up behind them.
EMPTY_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "common", "misc", "manager", "service"}
    | {"core", "base", "handler", "processor", "data", "info"}
)


class Function(NamedTuple):
    where: str
    lines: int


def too_long_modules(root: Path) -> list[str]:
    counted = ((path, len(path.read_text(encoding="utf-8").splitlines())) for path in _all_modules(root))
    return [f"{path.relative_to(root)}: {lines} lines" for path, lines in counted if lines > LONGEST_MODULE]


def full_folders(root: Path) -> list[str]:
    """Return the folders of the product that hold too many modules."""
    counts = Counter(path.parent.relative_to(root) for path in modules(root, PACKAGES))
    return [f"{folder}: {count} files" for folder, count in sorted(counts.items()) if count > MOST_FILES_IN_A_FOLDER]


def small_modules(root: Path) -> list[str]:
    """Return the small modules with one importer, each with that importer, into which it should be folded.

    A module that decides stays apart from an importer that does not.
    """
    paths = list(modules(root, PACKAGES))
    importers: dict[str, list[Path]] = {}
    for path in paths:
        for name in sorted(set(imported_names(root, path))):
            importers.setdefault(name, []).append(path)
    deciding = {path for module in DECIDING for path in files_of(root, module)}
    found = []
    for path in paths:
        place = path.relative_to(root)
        using = importers.get(".".join(place.with_suffix("").parts), [])
        if path.stem.startswith("__") or len(using) != 1 or (path in deciding and using[0] not in deciding):
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines < SMALL_MODULE:
            found.append(f"{place}: {lines} lines, imported by {using[0].relative_to(root)} only")
    return found


def functions(root: Path, folders: tuple[str, ...]) -> Iterator[Function]:
    """Each function with its length from `def` to its end, its docstring not counted."""
    for path in modules(root, folders):
        for node in definitions(parse(path)):
            if not isinstance(node, ast.ClassDef):
                where = f"{path.relative_to(root)}:{node.lineno} {node.name}"
                yield Function(where, _span(node) - _docstring_span(node))


def empty_names(root: Path) -> list[str]:
    found = []
    for path in _all_modules(root):
        place = path.relative_to(root)
        found += [f"{place}: {part}" for part in place.with_suffix("").parts if part.strip("_") in EMPTY_NAMES]
        found += [
            f"{place}:{node.lineno} class {node.name}"
            for node in definitions(parse(path))
            if isinstance(node, ast.ClassDef) and _last_word(node.name) in EMPTY_NAMES
        ]
    return found


def _all_modules(root: Path) -> Iterator[Path]:
    return modules(root, PRODUCT + SURROUNDINGS)


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring_span(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return _span(function.body[0]) if ast.get_docstring(function, clean=False) is not None else 0


def _last_word(class_name: str) -> str:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", class_name)
    return words[-1].lower() if words else class_name.lower()


def _function_of(lines: int, docstring: int = 0) -> str:
    text = ['    """' + "\n" * (docstring - 1) + '"""'] if docstring else []
    return "\n".join(["def f():", *text, *["    pass"] * (lines - 1)]) + "\n"


def test_no_module_is_longer_than_400_lines() -> None:
    assert too_long_modules(ROOT) == []


def test_a_module_of_401_lines_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"gateway/fits.py": "x = 1\n" * 400, "tests/unit/long.py": "x = 1\n" * 401})
    assert too_long_modules(tmp_path) == ["tests/unit/long.py: 401 lines"]


def test_no_folder_of_the_product_holds_more_than_15_files() -> None:
    assert full_folders(ROOT) == []


def test_a_folder_of_16_files_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {f"gateway/part{number}.py": "" for number in range(15)})
    write_tree(tmp_path, {f"workers/leases/part{number}.py": "" for number in range(14)})
    assert full_folders(tmp_path) == ["gateway: 16 files"]


def test_no_small_module_has_one_importer() -> None:
    assert small_modules(ROOT) == []


SMALL, LARGE = "x = 1\n" * 49, "x = 1\n" * 50


@pytest.mark.parametrize(
    "statement", ["import gateway.small", "from gateway import small", "from gateway.small import x"]
)
def test_a_small_module_with_one_importer_is_found(tmp_path: Path, statement: str) -> None:
    write_tree(tmp_path, {"gateway/small.py": SMALL, "gateway/api/routes.py": f"def late():\n    {statement}\n"})
    assert small_modules(tmp_path) == ["gateway/small.py: 49 lines, imported by gateway/api/routes.py only"]


def test_a_module_that_is_large_or_has_two_importers_or_none_is_left_alone(tmp_path: Path) -> None:
    files = {"gateway/large.py": LARGE, "gateway/shared.py": SMALL, "gateway/__main__.py": SMALL}
    uses = {"gateway/a.py": "import gateway.large, gateway.shared", "gateway/b.py": "import gateway.shared"}
    assert small_modules(write_tree(tmp_path, {**files, **uses})) == []


def test_a_small_module_that_decides_stays_apart_from_an_importer_that_does_not(tmp_path: Path) -> None:
    decides = {"gateway/protocol/values.py": SMALL, "gateway/protocol/fields.py": SMALL}
    uses = {"gateway/session/reader.py": "import gateway.protocol.values", "gateway/protocol/decoder.py": ""}
    write_tree(tmp_path, {**decides, **uses, "gateway/protocol/decoder.py": "import gateway.protocol.fields"})
    found = small_modules(tmp_path)
    assert found == ["gateway/protocol/fields.py: 49 lines, imported by gateway/protocol/decoder.py only"]


def test_no_function_is_longer_than_60_lines() -> None:
    assert [f for f in functions(ROOT, PRODUCT + SURROUNDINGS) if f.lines > LONGEST_FUNCTION] == []


def test_the_length_of_a_function_leaves_out_its_docstring_and_counts_the_rest(tmp_path: Path) -> None:
    write_tree(tmp_path, {"gateway/a.py": _function_of(30, docstring=7)})
    assert list(functions(tmp_path, PRODUCT)) == [Function("gateway/a.py:1 f", 30)]


@pytest.mark.parametrize("folders", [PRODUCT, SURROUNDINGS], ids=["product", "surroundings"])
def test_at_most_one_function_in_ten_is_longer_than_25_lines(folders: tuple[str, ...]) -> None:
    found = list(functions(ROOT, folders))
    long = [function for function in found if function.lines > LONG_FUNCTION]
    assert len(long) <= MOST_LONG_FUNCTIONS * len(found), f"{len(long)} of {len(found)}: {long}"


def test_no_file_package_or_class_has_a_name_that_says_nothing() -> None:
    assert empty_names(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("gateway/utils.py", "", "gateway/utils.py: utils"),
        ("gateway/_common.py", "", "gateway/_common.py: _common"),
        ("workers/core/claim.py", "", "workers/core/claim.py: core"),
        ("ringback/jobs/states.py", "class JobManager: ...", "ringback/jobs/states.py:1 class JobManager"),
        ("ringback/tables/columns.py", "class Base: ...", "ringback/tables/columns.py:1 class Base"),
    ],
)
def test_an_empty_name_is_found(tmp_path: Path, path: str, text: str, named: str) -> None:
    assert named in empty_names(write_tree(tmp_path, {path: text}))


def test_a_name_that_only_contains_an_empty_word_is_left_alone(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {"gateway/database.py": "class ServiceWindow: ...\nclass DataBaseUrl: ...\nclass TTS: ...\n"},
    )
    assert empty_names(tmp_path) == []
