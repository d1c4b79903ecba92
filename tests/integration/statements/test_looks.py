"""The flags of a look agree with the statements that they stand for, and a look is cheap whatever there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select, update

from ringback.jobs.outcomes import succeeded
from ringback.postgres.statement import Runnable
from ringback.statements import erasure, looks, processes, webhooks
from ringback.statements.jobs import sweeps, transitions
from ringback.statements.sessions import announced_calls, calls, lifecycle
from ringback.sweeper import STEPS, TASKS, Run, Sweeping
from ringback.tables import jobs
from ringback.tables import processes as processes_table
from tests.integration.statements.statement_rows import Rows, seconds_from_now, world
from tests.integration.statements.two_connections import another

PAST = seconds_from_now(-10)
SUNNY = succeeded("sunny")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def flags(rows: Rows, process: str = "gw2") -> set[str]:
    """Return the flags that are true in a look that has the turn."""
    rows.count(update(processes_table).values(swept_at=None))
    (row,) = rows.run(looks.look_of_gateway(process))
    assert row.is_ours
    assert row.living >= 1
    return {name for name in STEPS | TASKS if getattr(row, name)}


def lose(process: str) -> Callable[[Rows], None]:
    def lost(rows: Rows) -> None:
        rows.running()
        rows.lose(process)

    return lost


def unresumed(rows: Rows) -> None:
    rows.set_state("detached")
    rows.set_session(resume_until=PAST)


def late(rows: Rows) -> None:
    rows.answered(SUNNY)
    rows.set_state("ended")


def at_a_webhook(rows: Rows) -> None:
    rows.set_session(has_webhook=True)
    job, _ = rows.running()
    rows.set_state("ended")
    rows.set(job, notify_after=PAST)


def erased(rows: Rows) -> None:
    rows.set_state("ended", end_wanted="erased")


def unattended(rows: Rows) -> None:
    rows.set_state("detached")
    rows.set_session(call_id="rtc_1", resume_until=seconds_from_now(60))


WORK: dict[str, tuple[Callable[[Rows], object], Runnable]] = {
    "lost_sessions": (lose("gw"), sweeps.release_lost_sessions("gw2")),
    "lost_workers": (lose("w"), processes.end_lost_workers("gw2")),
    "lost_jobs": (lose("w"), sweeps.take_back_lost("gw2")),
    "overdue_jobs": (lambda rows: rows.asked(deadline_at=PAST), sweeps.time_out_overdue()),
    "unresumed_sessions": (unresumed, sweeps.end_unresumed()),
    "late_results": (late, sweeps.keep_late_results()),
    "due_jobs": (lambda rows: rows.asked(publish_after=PAST), sweeps.publish_due()),
    "due_webhooks": (at_a_webhook, webhooks.take_due(8)),
    "unattended_calls": (unattended, calls.take("gw2")),
    "erased_users": (erased, erasure.delete_sessions("default", "ada")),
}


@pytest.mark.parametrize("flag", WORK)
def test_a_flag_is_true_while_its_statement_would_find_a_row(rows: Rows, flag: str) -> None:
    makes_work, statement = WORK[flag]
    assert flag not in flags(rows)
    makes_work(rows)
    assert flag in flags(rows)
    assert rows.count(statement) == 1
    assert flag not in flags(rows)


def test_every_flag_has_a_case() -> None:
    assert {*WORK, "held_sessions", "lost_announcements"} == STEPS | TASKS


def test_a_gateway_is_told_that_rows_name_it(rows: Rows) -> None:
    assert "held_sessions" in flags(rows, "gw")
    assert "held_sessions" not in flags(rows, "gw2")
    rows.set_state("ended")
    assert "held_sessions" not in flags(rows, "gw")
    assert rows.run(lifecycle.held_sessions("gw")) == []


def test_a_gateway_is_told_of_announcements_that_no_other_settles(rows: Rows) -> None:
    call = {"call_id": "rtc_1", "caller": "+1", "called": "+2"}
    assert "lost_announcements" not in flags(rows)
    rows.count(announced_calls.receive("wh_1", "gw_gone", **call, headers={}))
    assert "lost_announcements" in flags(rows)
    assert rows.count(announced_calls.take_lost("gw2", ())) == 1
    assert "lost_announcements" in flags(rows), "it alone knows whether it settles it"
    assert "lost_announcements" not in flags(rows, "gw")
    assert rows.count(announced_calls.settle("wh_1", "gw2", "rejected")) == 1
    assert "lost_announcements" not in flags(rows)


def test_a_process_without_the_turn_reads_the_flags_of_its_own_tasks_alone(rows: Rows) -> None:
    lose("w")(rows)
    rows.run(looks.look("gw2"))
    (row,) = rows.run(looks.look_of_gateway("gw"))
    assert not row.is_ours
    assert {name for name in STEPS | TASKS if getattr(row, name)} == {"held_sessions"}


# — a session and its results, after one look —


def sweep_once(rows: Rows, sweeper: str = "gw2") -> None:
    """Play one look of that process, which has the turn; Redis does not reply."""
    rows.count(update(processes_table).values(swept_at=None))
    look, answer = Sweeping(sweeper).look(), None
    try:
        while True:
            step = look.send(answer)
            answer = None
            if isinstance(step, Run) and step.returns:
                answer = rows.run(step.statement)
            elif isinstance(step, Run):
                rows.count(step.statement)
    except StopIteration:
        return


def unresumed_with_a_result(rows: Rows) -> None:
    rows.answered(SUNNY)
    unresumed(rows)


def of_a_lost_gateway(rows: Rows) -> None:
    rows.answered(SUNNY)
    rows.lose("gw")


def overdue_after_the_end(rows: Rows) -> None:
    rows.asked(deadline_at=PAST)
    rows.set_state("ended")


def cancelled_at_a_lost_worker_after_the_end(rows: Rows) -> None:
    job, _ = rows.running()
    rows.set(job, cancel_requested=True)
    rows.lose("w")
    rows.set_state("ended")


@pytest.mark.parametrize(
    "happens",
    [unresumed_with_a_result, of_a_lost_gateway, overdue_after_the_end, cancelled_at_a_lost_worker_after_the_end, late],
)
def test_no_result_is_still_ready_after_the_round_in_which_its_session_or_job_ended(
    rows: Rows, happens: Callable[[Rows], None]
) -> None:
    happens(rows)
    sweep_once(rows)
    (job,) = rows.run(select(jobs.c.delivery))
    assert (rows.session_row().state, job.delivery) == ("ended", "history_only")


def test_a_result_that_was_not_committed_when_its_session_ended_is_kept_by_the_next_round(
    database: str, rows: Rows
) -> None:
    job, token = rows.running()
    with another(database) as worker:
        assert len(worker.begins(transitions.finish(job, token, SUNNY))[0]) == 1
        assert rows.count(lifecycle.end_session(rows.session, "gw", 1, "client_left")) == 1
        assert rows.count(lifecycle.keep_for_history(rows.session)) == 0, "nothing shows the result yet"
        worker.commits()
    assert rows.job(job).delivery == "ready", "the worker saw the session open"
    sweep_once(rows)
    assert rows.job(job).delivery == "history_only"


def test_a_look_has_no_parameters_so_that_postgres_plans_it_once_for_each_connection() -> None:
    for statement in (looks.look("w"), looks.look_of_gateway("gw")):
        assert not statement.parameters
