"""A migration that is stopped between any two of its steps, and run again, produces the same schema."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from ringback.postgres import migrate
from ringback.postgres import revisions as revising
from tests.integration.postgres.test_migrations import CHECKS, INDEXES, definitions, empty, objects
from tests.integration.statements.statement_rows import connected

__all__ = ["empty"]

STEPS_AT_MOST = 60
"""Most steps of one revision."""


class Stopped(Exception):
    """Error that stops a migration, as a signal would."""


class StopsAfter:
    """Executor of steps that stops before the one that follows the last allowed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        self._execute = revising._execute
        monkeypatch.setattr(revising, "_execute", self)

    def __call__(self, statement: str) -> Any:
        if self.left == 0:
            raise Stopped
        self.left -= 1
        return self._execute(statement)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> StopsAfter:
    return StopsAfter(monkeypatch)


def stopped_again_and_again(stops: StopsAfter, move: Any, database: str, revision: str) -> None:
    """Stop once after each of its steps, and at last run to the end."""
    for steps in range(STEPS_AT_MOST):
        stops.left = steps
        try:
            move(database, revision)
        except Stopped:
            continue
        return
    raise AssertionError(f"{revision} has more than {STEPS_AT_MOST} steps")


def revisions() -> list[str]:
    script = ScriptDirectory(str(migrate.migrations_folder()))
    return [each.revision for each in script.walk_revisions()][::-1]


def test_whatever_step_is_the_last_one_that_is_done_the_next_run_comes_to_the_same(
    database: str, empty: str, stops: StopsAfter
) -> None:
    for revision in revisions():
        stopped_again_and_again(stops, migrate.upgrade, empty, revision)
    assert objects(empty) == objects(database)
    for query in (CHECKS, INDEXES):
        assert definitions(empty, query) == definitions(database, query)
    for revision in ["base", *revisions()[:-1]][::-1]:
        stopped_again_and_again(stops, migrate.downgrade, empty, revision)
    assert objects(empty) == set()


def test_an_index_of_which_a_part_was_built_is_built_anew(database: str) -> None:
    migrate.downgrade(database, "0005")
    with connected(database) as connection:
        connection.execute(text("CREATE INDEX ix_jobs_overdue ON jobs (deadline_at)"))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_overdue'::regclass")
        )
        connection.commit()
    migrate.upgrade(database)
    assert "WHERE" in definitions(database, INDEXES)["ix_jobs_overdue"]
