"""Every overridden hook of Celery and kombu is called in a worker's life, by the installed versions."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.toolbox.line import CELERY, PATIENCE, Line, eventually
from tests.proxy import before_redis
from tests.servers import as_ours
from workers.broker.celery_hooks import OVERRIDDEN

CUTS, CUT_SECONDS = 10, 5.0
"""How often the broker is cut off, and the time to notice and repair a cut."""
LAST = {"workers.app:Duties.close", "workers.thread_pool:TaskPool.on_stop"}
OF_OTHERS = {
    "threads": ("workers.prefork:", "workers.broker.transport:Quality.append", "workers.broker.transport:Quality.ack"),
    "prefork": ("workers.thread_pool:",),
}
HOOKED = "tests.integration.toolbox.hooked_worker"


@pytest.mark.long  # a worker, its broker cut off, and its end
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_each_hook_is_called_in_the_life_of_a_worker(line: Line, redis_db: str, tmp_path: Path, pool: str) -> None:
    file = tmp_path / "calls"

    def called() -> set[str]:
        return set(file.read_text(encoding="utf-8").split()) if file.exists() else set()

    wanted = {hook.ours for hook in OVERRIDDEN if not hook.ours.startswith(OF_OTHERS[pool])}
    options = [*CELERY[CELERY.index("-A") :], *(["-P", "prefork", "-c", "1"] if pool == "prefork" else [])]
    with (
        before_redis(as_ours(redis_db)) as (proxy, through),
        line.worker(HOOKED, str(file), *options, REDIS_URL=through) as worker,
    ):
        eventually(line.workers, "the worker to announce its tools")
        assert line.finished(line.ask("echo", text="x")).state == "succeeded"
        for _ in range(CUTS):
            proxy.reset()
            with suppress(AssertionError):  # a cut between two reads is mended without a hook
                eventually(lambda: called() >= wanted - LAST, "every hook but the last to be called", CUT_SECONDS)
                break
        assert wanted - called() == LAST & wanted
        assert line.finished(line.ask("echo", text="y")).state == "succeeded", "it works on"
        worker.terminate()
        worker.wait(PATIENCE)
    assert called() == wanted
