"""Each column of a session and of a job is shown by the API, or kept inside for a reason."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from sqlalchemy import Column, MetaData, Table, Text

from ringback.history.documents import Job, ListedSession
from ringback.tables import jobs, sessions
from ringback.tables.columns import internal

TODO = (
    "{table}.{column} must be shown, or internal. To show it, give {model} in ringback/history/documents.py a field "
    "of that name, and GRANT SELECT ({column}) ON {table} TO ringback_tenant in the revision that adds the column. To "
    'keep it inside, add info=internal("why") to it in ringback/tables/conversations.py.'
)


def undecided(table: Table, model: type[BaseModel]) -> list[str]:
    """What to do about each column that is neither shown nor internal, or is both."""
    return [
        TODO.format(table=table.name, column=column.name, model=model.__name__)
        for column in table.c
        if ("internal" in column.info) == (column.name in model.model_fields)
    ]


@pytest.mark.parametrize(("table", "model"), [(jobs, Job), (sessions, ListedSession)], ids=["jobs", "sessions"])
def test_every_column_is_shown_or_internal(table: Table, model: type[BaseModel]) -> None:
    assert undecided(table, model) == []


def test_a_column_that_is_neither_is_named_with_what_to_do() -> None:
    columns = [Column("id", Text), Column("token", Text, info=internal("secret")), Column("shoe_size", Text)]
    [todo] = undecided(Table("jobs", MetaData(), *columns), Job)
    assert "jobs.shoe_size must be shown, or internal" in todo
    assert "GRANT SELECT (shoe_size) ON jobs" in todo


def test_a_column_that_is_both_is_named_too() -> None:
    [todo] = undecided(Table("jobs", MetaData(), Column("state", Text, info=internal("a mistake"))), Job)
    assert "jobs.state" in todo
