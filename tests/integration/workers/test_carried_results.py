"""A success goes along with the doorbell, sealed with the key in the gateway's row; anything else stays in its row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from ringback.redis.notifications import stream_of
from ringback.redis.sealed_results import MAX_CHARS, CarriedResult, SealedResults
from ringback.tables import processes, sessions
from tests.integration.toolbox.line import GATEWAY, Line
from tests.integration.toolbox.runtimes import errands_runtime, run_job
from workers.execution.runtime import WorkerRuntime
from workers.storage import gateway_keys

KEY = bytes(range(32))


@pytest.fixture
def runtime(line: Line) -> Iterator[WorkerRuntime]:
    set_key(line, KEY)
    with errands_runtime(line) as runtime:
        yield runtime


def set_key(line: Line, key: bytes | None) -> None:
    line.run(update(processes).where(processes.c.id == GATEWAY).values(doorbell_key=key))


def brought(line: Line) -> list[CarriedResult | None]:
    """What each doorbell has brought along so far."""
    entries: Any = line.redis.xrange(stream_of(GATEWAY))
    seals = SealedResults(KEY)
    return [seals.open(line.session, fields["result"]) if "result" in fields else None for _, fields in entries]


def test_a_success_goes_along_as_its_row_has_it(line: Line, runtime: WorkerRuntime) -> None:
    job_id = line.admit("echo", text="zwölf")
    line.run(update(sessions).where(sessions.c.id == line.session).values(epoch=4))
    run_job(runtime, job_id)
    row, (result,) = line.job(job_id), brought(line)
    assert result is not None
    assert (result.job_id, result.epoch, result.call_id, result.tool) == (job_id, 4, row.call_id, row.tool)
    assert result.result == row.result
    assert abs(result.ended_at - row.finished_at.timestamp()) < 60


def test_the_key_is_read_once(line: Line, runtime: WorkerRuntime) -> None:
    run_job(runtime, line.admit("echo", text="x"))
    set_key(line, None)
    run_job(runtime, line.admit("echo", text="y"))
    assert None not in brought(line)


def test_a_gateway_without_a_key_reads_the_row(line: Line, runtime: WorkerRuntime) -> None:
    set_key(line, None)
    run_job(runtime, line.admit("echo", text="x"))
    assert brought(line) == [None]


def test_keys_are_remembered_of_so_many_gateways(
    line: Line, runtime: WorkerRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_keys, "GATEWAYS_AT_MOST", 1)
    keys = gateway_keys.GatewayKeys(runtime.store.claims)
    for gateway_id in (GATEWAY, "gateway-that-is-gone", GATEWAY):
        keys.seal(gateway_id, line.session, CarriedResult(line.session, 1, "call", "work", "", 0.0))
    assert list(keys._known) == [GATEWAY]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("echo", {"text": "x" * MAX_CHARS}), ("refuse", {"retryable": False})],
    ids=["too long", "no success"],
)
def test_what_may_not_go_along_is_read_from_its_row(
    line: Line, runtime: WorkerRuntime, tool: str, arguments: dict[str, Any]
) -> None:
    run_job(runtime, line.admit(tool, **arguments))
    assert brought(line) == [None]
