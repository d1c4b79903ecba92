"""Load of the queues, measured in real rows: what a caller is told before a call begins."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text, update

from gateway.background.queue_monitor import STALE_SECONDS, QueueMonitor, _by_queue
from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.jobs.outcomes import failed, succeeded, timed_out
from ringback.statements import processes
from ringback.statements.jobs import admission, gates, queues, transitions
from ringback.statements.jobs.queues import COUNTED_AT_MOST
from ringback.tables import jobs
from ringback.telemetry import metrics
from ringback.tools.gate import Gate
from tests.integration.statements.statement_rows import WEATHER, Rows, new_job, seconds_from_now, world
from tests.servers import execute, explained

ORDERS = replace(WEATHER, name="order", queue="orders")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def worker(rows: Rows, name: str, *names: str, slots: int) -> None:
    rows.count(processes.register(name, "worker", "here", 1, names, slots))


def load(rows: Rows, queue: str = "orders") -> Any:
    return next((row for row in rows.run(queues.loads()) if row.queue == queue), None)


def wait(row: Any) -> float | None:
    """Return how long one more call of that queue would wait."""
    return next(iter(_by_queue([row]).values()))


def ran(rows: Rows, seconds: float, outcome: Any = None) -> UUID:
    """Insert a call of the queue that took so long."""
    job, token = rows.running(ORDERS, "w", started_at=seconds_from_now(-seconds))
    assert rows.count(transitions.finish(job, token, outcome or succeeded(1))) == 1
    return job


def test_a_queue_that_nobody_consumes_has_no_row(rows: Rows) -> None:
    rows.asked(ORDERS)
    worker(rows, "w3", "default", slots=2)
    worker(rows, "w4", "orders", slots=2)
    rows.lose("w4")
    assert load(rows) is None
    assert load(rows, "default").slots == 2


def test_what_waits_and_what_runs_is_counted(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=4)
    worker(rows, "w4", "orders", "mail", slots=3)
    for _ in range(2):
        rows.running(ORDERS, "w3")
    for _ in range(3):
        rows.asked(ORDERS)
    row = load(rows)
    assert (row.pending, row.running, row.slots) == (3, 2, 7)


def test_the_slots_of_a_worker_are_taken_by_whatever_it_runs(rows: Rows) -> None:
    worker(rows, "w3", "orders", "default", slots=4)
    rows.running(WEATHER, "w3")
    assert (load(rows).running, load(rows, "default").running) == (1, 1)


def test_what_may_not_run_yet_is_in_nobodys_way(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=1)
    first = rows.asked(ORDERS)
    assert rows.count(admission.admit(new_job(rows.session, ORDERS, joined_to=first), "gw", 1)) == 1
    rows.asking(ORDERS)
    rows.asked(ORDERS, not_before=seconds_from_now(60))
    assert load(rows).pending == 1


def test_a_call_takes_as_long_as_the_newest_ones_took_that_really_ran(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=1)
    assert load(rows).mean_seconds is None
    ran(rows, 4)
    ran(rows, 8, failed("no_such_order", "There is none."))
    ran(rows, 1_000, timed_out())
    refused = admission.admit(new_job(rows.session, ORDERS), "gw", 1, failed("invalid_arguments", "No."))
    assert rows.count(refused) == 1
    assert float(load(rows).mean_seconds) == pytest.approx(6, abs=0.5)


def test_old_measurements_are_forgotten(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=1)
    ran(rows, 1_000)
    for _ in range(queues.MEASURED):
        ran(rows, 2)
    assert float(load(rows).mean_seconds) == pytest.approx(2, abs=0.5)


def test_calls_that_hang_now_count_more_than_those_that_were_quick(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=2)
    ran(rows, 1)
    rows.running(ORDERS, "w3", started_at=seconds_from_now(-30))
    assert float(load(rows).end_every) == pytest.approx(30, abs=1)


def test_one_call_that_takes_very_long_does_not_make_the_others_slow(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=2)
    for _ in range(2):
        ran(rows, 0.2)
    rows.running(ORDERS, "w3", started_at=seconds_from_now(-600))
    rows.running(ORDERS, "w3")
    assert wait(load(rows)) == pytest.approx(0.2, abs=0.2)


def test_a_slow_queue_waits_for_a_slot_only_as_long_as_what_holds_it_takes(rows: Rows) -> None:
    worker(rows, "w3", "orders", "default", slots=2)
    ran(rows, 90)
    for _ in range(2):
        job, token = rows.running(WEATHER, "w3", started_at=seconds_from_now(-0.2))
        assert rows.count(transitions.finish(job, token, succeeded(1))) == 1
    for _ in range(2):
        rows.running(WEATHER, "w3")
    assert wait(load(rows)) == pytest.approx(0.1, abs=0.2)


def test_nothing_is_known_where_a_worker_does_not_say_how_many_calls_it_runs_at_once(rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=2)
    worker(rows, "older", "orders", slots=0)
    ran(rows, 10)
    for _ in range(20):
        rows.running(ORDERS, "older")
    assert load(rows).slots == 0
    assert wait(load(rows)) is None


def test_a_gateway_knows_what_one_more_call_would_wait_and_when_it_knows_nothing(database: str, rows: Rows) -> None:
    worker(rows, "w3", "orders", slots=2)
    worker(rows, "w4", "idle", slots=2)
    ran(rows, 10)
    for _ in range(2):
        rows.running(ORDERS, "w3")
    for _ in range(3):
        rows.asked(ORDERS)

    async def look() -> list[float | None]:
        store = Store(open_pool(postgres_url(database), 1))
        try:
            measured = QueueMonitor(store)
            before = measured.wait_seconds("orders")
            await measured.measure()
            seen = [before, *(measured.wait_seconds(queue) for queue in ("orders", "idle", "nobodys"))]
            measured._seen_at -= STALE_SECONDS + 1  # As after an outage of Postgres.
            return [*seen, measured.wait_seconds("orders")]
        finally:
            await store.close()

    before, orders, idle, nobodys, stale = asyncio.run(look())
    assert (before, idle, nobodys, stale) == (None, 0.0, None, None)
    assert orders == pytest.approx((3 + 1) * 10 / 2, abs=1)


# — with a hundred thousand jobs —

MANY = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts,
                  publish_after, deadline_at, state, delivery, delivered_epoch, started_at, finished_at)
SELECT gen_random_uuid(), :session, 'many_' || n, 1, 'order', CASE WHEN n % 2 = 0 THEN 'orders' ELSE 'mail' END, '{}',
       'pure', 10, 1, clock_timestamp(), clock_timestamp() + interval '1 hour',
       CASE WHEN over THEN 'succeeded' ELSE 'pending' END, CASE WHEN over THEN 'acked' ELSE 'none' END,
       CASE WHEN over THEN 1 END, CASE WHEN over THEN clock_timestamp() - make_interval(secs => 100000 - n) END,
       CASE WHEN over THEN clock_timestamp() - make_interval(secs => 99997 - n) END
FROM (SELECT n, n <= 95000 AS over FROM generate_series(1, 100000) AS n) AS numbers
"""
BUFFERS_AT_MOST = 2_000
"""Most pages of 8 kB that one look may touch; the table alone has more than 4,000."""


def plan(rows: Rows) -> str:
    found = execute(rows.connection, explained(queues.loads(), "(ANALYZE, BUFFERS)")).scalars().all()
    return "\n".join(found)


def test_a_look_at_the_queues_stays_cheap_when_there_are_very_many_jobs(rows: Rows) -> None:
    rows.connection.execute(text("ALTER TABLE jobs DISABLE TRIGGER USER"))
    rows.connection.execute(text(MANY), {"session": rows.session})
    rows.connection.execute(text("ALTER TABLE jobs ENABLE TRIGGER USER"))
    rows.connection.commit()
    rows.connection.execute(text("ANALYZE jobs"))
    worker(rows, "w3", "orders", "mail", slots=4)
    for _ in range(4):
        rows.running(ORDERS, "w3")

    row = load(rows)
    assert (row.pending, row.running, row.slots) == (COUNTED_AT_MOST, 4, 4)
    assert float(row.mean_seconds) == pytest.approx(3, abs=0.1)
    seen = plan(rows)
    assert "Seq Scan on jobs" not in seen, seen
    touched = re.search(r"Buffers: shared (?:hit=(\d+))? ?(?:read=(\d+))?", seen)
    assert touched is not None, seen
    assert sum(int(number or 0) for number in touched.groups()) < BUFFERS_AT_MOST, seen


def backlog(rows: Rows) -> dict[tuple[str, str], float]:
    return {(row.what, row.name): row.number for row in rows.run(queues.backlog())}


def test_the_backlog_tells_what_waits_also_where_no_worker_is(rows: Rows) -> None:
    worker(rows, "w3", "default", slots=2)
    assert backlog(rows) == {("oldest", "default"): 0, ("results", ""): 0}
    late = rows.asked(ORDERS)
    rows.count(update(jobs).where(jobs.c.id == late).values(created_at=seconds_from_now(-60)))
    rows.asked(ORDERS)
    job, token = rows.running(WEATHER, "w3")
    rows.count(transitions.finish(job, token, succeeded(1)))
    rows.count(gates.lock("weather", 1))
    rows.count(gates.save("weather", Gate(1, 0, 3, open_until=4e9)))
    found = backlog(rows)
    assert found.pop(("oldest", "orders")) == pytest.approx(60, abs=20)
    assert found == {("oldest", "default"): 0, ("results", ""): 1, ("breaker", "weather"): 1}
    rows.count(gates.save("weather", Gate(1, 0, 3, open_until=1.0)))
    assert backlog(rows)["breaker", "weather"] == 0


def test_a_scrape_reads_the_rows_at_most_once_in_some_seconds(
    rows: Rows, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = CollectorRegistry()
    for gauge in (metrics.QUEUE_CALLS, metrics.QUEUE_SLOTS, metrics.QUEUE_OLDEST, metrics.RESULTS_WAITING):
        monkeypatch.setattr(gauge, "_metric", None)  # as it was, when the test is over
        gauge.begin(registry)
    worker(rows, "w3", "orders", slots=3)

    def told(what: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"ringback_queue_{what}", {"queue": "orders", **labels})

    async def scrapes() -> list[tuple[float | None, ...]]:
        found = list[tuple[float | None, ...]]()
        store = Store(open_pool(postgres_url(database), 1))
        monitor = QueueMonitor(store)
        for waits in (5.0, 5.0, 0.0):
            monkeypatch.setattr("gateway.background.queue_monitor.SHOWN_SECONDS", waits)
            rows.asked(ORDERS)
            await monitor.show()
            found.append((told("calls", state="pending"), told("slots")))
        rows.lose("w3")
        await monitor.show()
        found.append((told("slots"), told("oldest_seconds")))
        await store.close()
        return found

    *served, unserved = asyncio.run(scrapes())
    assert served == [(1, 3), (1, 3), (3, 3)], "what was read a moment ago is shown again"
    slots, oldest = unserved
    assert slots == 0
    assert oldest is not None
    assert oldest > 0, "calls wait there, and grow older"
