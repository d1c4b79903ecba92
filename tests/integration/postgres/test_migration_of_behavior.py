"""Revision 0003 on a database in use: existing rows are kept, and a downgrade ends what the older code cannot do."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text

from ringback.jobs.states import JobState
from ringback.postgres import migrate
from ringback.statements import processes
from ringback.statements.jobs import sweeps
from ringback.tools.behavior import Limits, ToolBehavior
from tests.integration.statements.statement_rows import connected, world
from tests.servers import execute

OLD_JOB = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, publish_after,
                  deadline_at) VALUES (:id, :session, :call, 1, 'weather', 'default', '{}', 'pure', 15, 1,
                  clock_timestamp(), clock_timestamp() + interval '1 minute')
"""


OLD_WORKER = """
INSERT INTO processes (id, kind, host, pid, lease_until) VALUES ('w', 'worker', 'here', 1, clock_timestamp());
INSERT INTO worker_tools (worker_id, name, description, parameters, queue, timeout, retries, effect, say_after, version)
VALUES ('w', 'slow', 'd', '{}', 'q', 1, 0, 'pure', 3.5, '1'), ('w', 'quick', 'd', '{}', 'q', 1, 0, 'pure', NULL, '1')
"""


def test_what_a_worker_announced_and_what_waited_before_is_kept(database: str) -> None:
    migrate.downgrade(database, "0002")
    job, session = uuid4(), uuid4()
    with connected(database) as connection:
        connection.execute(text(OLD_WORKER))
        opened = "INSERT INTO sessions (id, user_id, agent) VALUES (:id, 'ada', 'demo')"
        connection.execute(text(opened), {"id": session})
        connection.execute(text(OLD_JOB), {"id": job, "session": session, "call": "call_1"})
        connection.commit()
    migrate.upgrade(database)
    with connected(database) as connection:
        told = connection.execute(text("SELECT name, manners FROM worker_tools ORDER BY name DESC")).all()
        assert [tuple(row) for row in told] == [("slow", {"say_after": 3.5}), ("quick", {})]
        assert [row.id for row in execute(connection, sweeps.publish_due())] == [job]
        connection.commit()
    migrate.downgrade(database, "0002")
    with connected(database) as connection:
        kept = connection.execute(text("SELECT say_after FROM worker_tools ORDER BY name DESC")).scalars().all()
        assert kept == [3.5, None]


def test_what_the_older_version_announces_and_asks_for_goes_on_to_work(database: str) -> None:
    with connected(database) as connection:
        connection.execute(text(OLD_WORKER))
        told = connection.execute(text("SELECT say_after FROM worker_tools ORDER BY name DESC")).scalars().all()
        assert told == [3.5, None]
        execute(connection, processes.renew("w"))
        tools = [processes.spec_from_row(row) for row in execute(connection, processes.live_tools())]
        assert [(tool.name, tool.behavior, tool.limits) for tool in tools] == [
            (name, ToolBehavior(), Limits()) for name in ("quick", "slow")
        ]


def test_a_downgrade_cancels_what_waits_for_a_yes_or_for_another_call_and_leaves_the_rest(database: str) -> None:
    with world(database) as rows:
        plain = rows.asked()
        joined, asking = rows.joining(plain), rows.asking()
        steps = len(rows.steps(asking))
    migrate.downgrade(database, "0002")
    with connected(database) as connection:
        found = connection.execute(text("SELECT id, state, delivery, error ->> 'code' AS code FROM jobs")).all()
        states = {row.id: (row.state, row.delivery, row.code) for row in found}
        assert states[plain] == ("pending", "none", None)
        assert states[joined] == states[asking] == (JobState.CANCELLED, "ready", "cancelled")
        events = text("SELECT count(*) FROM job_events WHERE job_id = :id")
        assert connection.execute(events, {"id": asking}).scalar_one() == steps + 1
        connection.execute(text("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE state = 'pending'"))
        connection.commit()
    migrate.upgrade(database)
