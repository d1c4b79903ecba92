"""Real workers scraped over HTTP: one process, the children of a prefork pool, and the processes of one command."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.integration.toolbox.line import CELERY, Line, eventually
from tests.local_http import LOCAL
from tests.ports import kept_port
from tests.scraped import TOKEN, Scraped, scrape

OURS = ("cli", "worker", "--queues", "errands")
CALLS = 6
LABELS = {"tool": "echo", "queue": "errands"}


def on(port: int) -> dict[str, str]:
    return {"RINGBACK_METRICS_PORT": str(port), "RINGBACK_METRICS_TOKEN": TOKEN}


def call(line: Line, number: int = CALLS) -> None:
    for job in [line.ask("echo", text=str(each)) for each in range(number)]:
        assert line.finished(job).state == "succeeded"


def scraped_after(url: str, calls: int) -> Scraped:
    """A scrape once so many calls are counted: a worker counts one when its row is written."""

    def seen() -> Scraped | None:
        found = scrape(url)
        return found if found.value("ringback_calls_ended_total", state="succeeded", **LABELS) == calls else None

    found: Scraped = eventually(seen, f"{calls} calls to be counted")
    return found


@pytest.mark.parametrize(
    "argv",
    [CELERY, (*OURS, "--pool", "prefork", "--concurrency", "2"), (*OURS, "--processes", "2")],
    ids=["threads", "prefork", "processes"],
)
def test_every_call_of_a_worker_is_counted_once_in_whatever_process_it_ran(line: Line, argv: tuple[str, ...]) -> None:
    port = kept_port()
    url = f"http://127.0.0.1:{port}"
    with line.worker(*argv, **on(port)):
        call(line)
        found = scraped_after(url, CALLS)
        assert found.value("ringback_run_seconds_count", **LABELS) == CALLS
        assert found.value("ringback_queue_wait_seconds_count", queue="errands") == CALLS
        assert found.value("ringback_queue_wait_seconds_sum", queue="errands") > 0
        assert found.value("ringback_build_info") == 1
        eventually(lambda: scrape(url).value("ringback_worker_slots") > 1, "the slots of all to be told")
        eventually(lambda: scrape(url).value("ringback_worker_calls") == 0, "no call to run any more")
        assert LOCAL.get(f"{url}/metrics").status_code == 401
        assert LOCAL.get(f"{url}/other").status_code == 404


def test_a_killed_child_takes_no_count_with_it(line: Line) -> None:
    port = kept_port()
    url = f"http://127.0.0.1:{port}"
    with line.worker(*OURS, "--pool", "prefork", "--concurrency", "1", **on(port)) as worker:
        call(line, 2)
        scraped_after(url, 2)
        (child,) = psutil.Process(worker.pid).children()
        os.kill(child.pid, signal.SIGKILL)
        call(line, 3)
        scraped_after(url, 5)
        eventually(lambda: scrape(url).value("ringback_worker_slots") == 1, "the slot of the child that lives")


def test_a_port_that_is_taken_is_told_in_a_sentence(line: Line) -> None:
    port = kept_port()
    with (
        line.worker(*CELERY, **on(port)),
        pytest.raises(AssertionError, match="each worker of a machine needs a port of its own"),
        line.worker(*CELERY, **on(port)),
    ):
        pass


def test_a_worker_without_a_port_listens_on_none(line: Line) -> None:
    with line.worker(*CELERY) as worker:
        listening = [each for each in psutil.Process(worker.pid).net_connections() if each.status == "LISTEN"]
        assert listening == []
