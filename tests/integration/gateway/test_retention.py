"""What is over long enough is deleted with everything in it, for each tenant as it wants, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select, text, update

from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import Delivery
from ringback.statements import retention
from ringback.tables import client_secrets, items, job_events, jobs, responses, sessions, tenants, usage_days
from tests.integration.statements.statement_rows import Rows, connected, seconds_from_now, world
from tests.integration.statements.test_sweeps_stay_cheap import BUFFERS_AT_MOST, plan

DAY = 86_400


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def over(rows: Rows, days: float, tenant: str = "default") -> UUID:
    """A session of that tenant that has been over for so many days, with a job, an item and a response."""
    session = uuid4()
    owned = {"tenant": tenant, "user_id": "ada", "agent": "demo"}
    rows.count(insert(sessions).values(id=session, **owned))
    rows.count(insert(items).values(session_id=session, tenant=tenant, position=1, item_id="i", role="user",
                                    content=[], epoch=1))  # fmt: skip
    used = {"response_id": "r", "model": "m", "epoch": 1, "status": "completed", "tokens": {}}
    rows.count(insert(responses).values(session_id=session, **owned, **used, input_tokens=3, output_tokens=4))
    job: dict[str, Any] = {
        "session_id": session,
        "call_id": "c",
        "epoch": 1,
        "tool": "t",
        "queue": "q",
        "effect": "pure",
    }
    job |= {"tenant": tenant, "arguments": {}, "timeout": 1.0, "max_attempts": 1, "deadline_at": seconds_from_now(0)}
    job |= {"state": "succeeded", "delivery": "history_only", "finished_at": seconds_from_now(0)}
    rows.count(insert(jobs).values(id=uuid4(), **job))
    ended = {"state": "ended", "ended_at": seconds_from_now(-days * DAY)}
    rows.count(update(sessions).where(sessions.c.id == session).values(**ended))
    return session


def keep_for(rows: Rows, tenant: str, days: int | None) -> None:
    rows.count(insert(tenants).values(tenant=tenant, retention_days=days))


def deleted(rows: Rows, default_days: int | None) -> set[UUID]:
    return {row.id for row in rows.run(retention.delete_expired(default_days))}


def numbers(rows: Rows, *tables: Any) -> list[int]:
    return [rows.run(select(func.count()).select_from(table))[0][0] for table in tables]


def test_what_is_over_long_enough_goes_with_everything_in_it(rows: Rows) -> None:
    old = over(rows, 31)
    young = over(rows, 29)
    before = numbers(rows, sessions, items, jobs, job_events, responses)
    assert deleted(rows, 30) == {old}
    assert numbers(rows, sessions, items, jobs, job_events, responses) == [number - 1 for number in before]
    assert [row.session_id for row in rows.run(select(jobs))] == [young]
    (usage,) = rows.run(select(usage_days))
    assert (usage.user_id, usage.input_tokens, usage.output_tokens) == ("ada", 6, 8)
    assert deleted(rows, 30) == set()


def test_each_tenant_has_its_own_time_or_the_default(rows: Rows) -> None:
    for tenant, days in (("short", 2), ("long", 1_000), ("says nothing", None)):
        keep_for(rows, tenant, days)
    old = {tenant: over(rows, 10, tenant) for tenant in ("short", "long", "says nothing", "no row")}
    assert deleted(rows, None) == {old["short"]}
    assert deleted(rows, 7) == {old["says nothing"], old["no row"]}
    assert deleted(rows, 7) == set()


def test_zero_days_keep_nothing_that_is_over(rows: Rows) -> None:
    keep_for(rows, "default", 0)
    assert deleted(rows, None) == set()  # the session of the world is live
    rows.set_state("ended")
    assert deleted(rows, None) == {rows.session}


@pytest.mark.parametrize("owed", ["running", "ready", "a webhook"])
def test_a_session_that_is_owed_something_stays_until_that_is_done(rows: Rows, owed: str) -> None:
    if owed == "running":
        rows.running()
    else:
        job = rows.answered(succeeded(1))
        if owed == "a webhook":
            rows.set(job, delivery=Delivery.HISTORY_ONLY, notify_after=seconds_from_now(60))
    rows.set_state("ended")
    keep_for(rows, "default", 0)
    assert deleted(rows, None) == set()


def test_a_backlog_is_worked_off_in_steps(rows: Rows) -> None:
    for _ in range(retention.AT_ONCE + 3):
        over(rows, 2)
    assert [len(deleted(rows, 1)) for _ in range(3)] == [retention.AT_ONCE, 3, 0]


def test_two_who_delete_at_once_are_not_in_each_others_way(rows: Rows, database: str) -> None:
    first, second = sorted(over(rows, 2) for _ in range(2))
    with connected(database) as other:
        other.execute(select(sessions).where(sessions.c.id == first).with_for_update())
        assert deleted(rows, 1) == {second}
        other.rollback()
    assert deleted(rows, 1) == {first}


def test_a_secret_goes_when_nobody_can_come_back_with_it_any_more(rows: Rows) -> None:
    made = {"minted_by": "key", "user_id": "ada", "uses_left": 0}
    for age in (retention.EXPIRED_SECRET_SECONDS - 60, retention.EXPIRED_SECRET_SECONDS + 60):
        secret = {"id": uuid4(), "hash": uuid4().bytes, "expires_at": seconds_from_now(-age)}
        rows.count(insert(client_secrets).values(**made, **secret))
    assert rows.count(retention.delete_expired_secrets()) == 1
    assert numbers(rows, client_secrets) == [1]


def test_what_is_sealed_goes_at_the_latest_when_no_session_can_need_it(rows: Rows) -> None:
    old, young, bare = (rows.asked() for _ in range(3))
    for job, age in ((old, 60), (young, -60)):
        created = seconds_from_now(-retention.SEALED_SECONDS - age)
        rows.set(job, sealed_arguments=b"x", sealed_result=b"y", created_at=created)
    rows.set(bare, created_at=seconds_from_now(-retention.SEALED_SECONDS - 60))
    assert rows.count(retention.drop_old_sealed()) == 1
    assert [rows.job(job).sealed_arguments for job in (old, young)] == [None, b"x"]


MANY_SESSIONS = """
INSERT INTO sessions (id, tenant, user_id, agent, state, ended_at, gateway_id)
SELECT gen_random_uuid(), 'tenant ' || n % 20, 'ada', 'demo', 'ended', clock_timestamp(), 'gw'
FROM generate_series(1, 50000) AS n
"""


def test_where_nothing_is_to_go_hardly_anything_is_read(rows: Rows) -> None:
    rows.connection.execute(text(MANY_SESSIONS))
    rows.connection.execute(text("ANALYZE"))
    rows.connection.commit()
    for statement in (retention.delete_expired(7), retention.delete_expired_secrets(), retention.drop_old_sealed()):
        told = plan(rows, statement)
        pages = sum(int(number) for number in buffers(told))
        assert pages <= BUFFERS_AT_MOST, told


def buffers(told: str) -> list[str]:
    """Of the whole statement: its outermost node."""
    return re.findall(r"Buffers: shared hit=(\d+)", told)[:1]
