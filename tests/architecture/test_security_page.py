"""The table of attacks in docs/security.md: every number once, and with it each test that is named for it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import ROOT, parse

LAST = 62
ROW = re.compile(r"^\| A(\d+) \|(.*)\|$", re.MULTILINE)
TESTS = re.compile(r"`(test_\w+)`")
NUMBERED = re.compile(r"test_a(\d\d)_\w+")


class Row(NamedTuple):
    """One line of the table. `reason` is told where an attack does not apply."""

    number: int
    tests: frozenset[str]
    reason: str


def rows(text: str) -> list[Row]:
    found = []
    for number, rest in ROW.findall(text):
        cells = [cell.strip() for cell in rest.split("|")]
        reason = cells[-2] if cells[-2].startswith("does not apply") else ""
        found.append(Row(int(number), frozenset(TESTS.findall(cells[-1])), reason))
    return found


def complaints(found: list[Row], numbered: set[str]) -> list[str]:
    """What is wrong with the table; `numbered` are the tests of tests/attacks/."""
    numbers = [row.number for row in found]
    wrong = [f"A{n} stands there {numbers.count(n)} times" for n in range(1, LAST + 1) if numbers.count(n) != 1]
    wrong += [f"A{row.number} has no test and no reason" for row in found if not row.tests and not row.reason]
    listed = {(row.number, test) for row in found for test in row.tests}
    tests = [(int(match[1]), match[0]) for match in map(NUMBERED.fullmatch, sorted(numbered)) if match]
    return wrong + [f"{test} is not in the row of A{number}" for number, test in tests if (number, test) not in listed]


def named_in(folder: Path) -> set[str]:
    return {str(node.name) for path in folder.glob("test_*.py") for node in parse(path).body if hasattr(node, "name")}


def test_every_attack_is_in_the_table_with_all_its_tests() -> None:
    found = rows((ROOT / "docs/security.md").read_text(encoding="utf-8"))
    assert complaints(found, named_in(ROOT / "tests/attacks")) == []


TABLE = "\n".join(f"| A{n} | tried | happens | `test_a{n:02}_holds` |" for n in range(1, LAST + 1))
NAMES = {f"test_a{n:02}_holds" for n in range(1, LAST + 1)}


def test_a_table_that_is_whole_is_let_be() -> None:
    assert complaints(rows(TABLE), NAMES) == []
    without = TABLE.replace("| A7 | tried | happens | `test_a07_holds` |", "| A7 | tried | does not apply: x | – |")
    assert complaints(rows(without), NAMES - {"test_a07_holds"}) == []


@pytest.mark.parametrize(
    ("table", "names", "complaint"),
    [
        (TABLE.replace("| A7 |", "| A8 |"), NAMES, "A7 stands there 0 times"),
        (TABLE.replace("`test_a07_holds`", "–"), NAMES - {"test_a07_holds"}, "A7 has no test and no reason"),
        (TABLE, NAMES | {"test_a07_is_new"}, "test_a07_is_new is not in the row of A7"),
    ],
)
def test_a_table_with_a_hole_is_found(table: str, names: set[str], complaint: str) -> None:
    assert complaint in complaints(rows(table), names)
