"""What a run waits for before it is judged: the end of each session, and of each result that a sweeper still keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ringback.jobs.outcomes import succeeded
from ringback.statements.jobs import sweeps
from ringback.statements.sessions import lifecycle
from tests.chaos.rows import what_is_left
from tests.integration.statements.statement_rows import Rows, world


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def test_a_run_is_judged_once_no_session_and_no_result_is_left(database: str, rows: Rows) -> None:
    rows.answered(succeeded("sunny"))
    assert what_is_left(database, sessions=True) == "1 sessions, 1 late results"
    assert rows.count(lifecycle.end_session(rows.session, "gw", 1, "client_left")) == 1
    assert what_is_left(database, sessions=True) == "1 late results"
    assert rows.count(sweeps.keep_late_results()) == 1
    assert what_is_left(database, sessions=True) == ""
