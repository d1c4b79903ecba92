"""docs/turn-taking.md: its tables are those of the code."""

from __future__ import annotations

from tests.examples.turn_taking_tables import PAGE, tables, written


def test_every_table_has_its_place() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in tables() if f"<!-- {name} -->\n" not in page] == []


def test_the_tables_are_those_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "run: .venv/bin/python -m tests.examples.turn_taking_tables"
