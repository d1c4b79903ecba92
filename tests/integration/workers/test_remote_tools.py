"""Remote tools through a real worker: an MCP server that it starts, one that it calls, and an HTTP API."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from ringback.statements.jobs import admission, transitions
from ringback.tables import job_events
from ringback.tools.decorator import Tool
from tests.forked import run
from tests.integration.toolbox.line import GATEWAY, PATIENCE, ROOT, Line, eventually
from tests.integration.toolbox.shop import Shop, serving
from tests.ports import kept_port
from workers.remote_tools.loader import load

pytestmark = pytest.mark.long  # a worker, and servers

RINGBACK = ("tests.integration.toolbox.start",)
PREFORK = ("tests.integration.toolbox.start", "prefork")
SERVER = "tests.integration.toolbox.mcp_tickets"
OPTIONS = """
tools = "*"
prefix = "tickets_"
identify = true
defaults = { queue = "tickets", timeout = 30, retries = 1, backoff = 0.01 }
"""
STDIO = f"""
[mcp.tickets]
command = ["{sys.executable}", "-m", "{SERVER}"]
cwd = "{ROOT}"
env = {{ TOKEN = "env:TICKETS_TOKEN" }}
{OPTIONS}
"""
SHOP = """
[openapi.shop]
document = "shop.json"
defaults = { queue = "shop", timeout = 20, retries = 2, backoff = 0.01 }
operation = { getOrder = {}, busy = {}, pay = {}, slow = {} }
"""


class Elsewhere(Line):
    """Line whose tools are those of one file."""

    def __init__(self, database: str, redis: str, file: Path) -> None:
        super().__init__(database, redis)
        self.file = file
        self.tools: dict[str, Tool] = {}

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")
        self.tools = {tool.name: tool for tool in load([str(self.file)])}

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "RINGBACK_TOOL_FILES": str(self.file)}

    def admit(self, name: str, **arguments: Any) -> UUID:
        job = admission.NewJob(
            id=uuid4(),
            session_id=self.session,
            call_id=f"call_{uuid4().hex[:8]}",
            response_id=None,
            name=name,
            arguments=arguments,
            tool=self.tools[name].announcement,
        )
        assert self.run(admission.admit(job, GATEWAY, 1)) == 1
        return job.id

    def history(self, job_id: UUID) -> list[tuple[str, str | None]]:
        """Return the states that the job went through, each with its error code."""
        steps = select(job_events.c.state, job_events.c.error).where(job_events.c.job_id == job_id)
        with self.engine.connect() as connection:
            rows = connection.execute(steps.order_by(job_events.c.id)).all()
        told = [(row.state, (row.error or {}).get("code")) for row in rows]
        return [step for number, step in enumerate(told) if step != told[number - 1] or not number]


@pytest.fixture
def line(database: str, redis_db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    monkeypatch.setenv("TICKETS_TOKEN", "open sesame")
    line = Elsewhere(database, redis_db, tmp_path / "elsewhere.toml")
    yield line
    line.close()


@contextmanager
def http_server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the same MCP server, over HTTP."""
    with subprocess.Popen([sys.executable, "-m", SERVER, str(port)], cwd=ROOT, start_new_session=True) as server:
        try:
            eventually(lambda: _answers(port), "the server to listen")
            yield server
        finally:
            server.kill()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def lives(pid: int) -> bool:
    """Return whether the process runs; False also if it has exited and was not reaped."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


RETRIED = [("pending", None), ("running", None), ("pending", "server_failed"), ("running", "server_failed")]


@pytest.mark.parametrize("argv", [RINGBACK, PREFORK], ids=["threads", "prefork"])
def test_a_tool_of_an_mcp_server_is_called_and_knows_whose_call_it_is(line: Elsewhere, argv: tuple[str, ...]) -> None:
    line.write(STDIO)
    with line.worker(*argv) as worker:
        job = line.finished(line.ask("tickets_search", query="printer", limit=1))
        assert (job.state, job.result) == (
            "succeeded",
            {"result": [{"number": 1, "title": "printer", "tags": []}]},
        ), job.error
        told = line.finished(line.ask("tickets_about_me")).result
        assert told["idempotency_key"] != job.id
        assert (told["user"], told["session"], told["attempt"]) == ("ada", str(line.session), 1)
        assert (told["token"], told["database"]) == ("open sesame", None), "the worker's own secrets are not handed on"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
        eventually(lambda: not lives(told["pid"]), "the server to end with its worker")


def test_a_server_that_dies_amid_a_call_is_started_again_and_the_call_succeeds(line: Elsewhere, tmp_path: Path) -> None:
    line.write(STDIO)
    with line.worker(*RINGBACK):
        job = line.finished(line.ask("tickets_go_down", path=str(tmp_path / "down")))
        assert (job.state, job.attempt) == ("succeeded", 2), job.error
        assert job.result["result"] != int((tmp_path / "down").read_text())
        assert line.history(job.id) == [*RETRIED, ("succeeded", None)]


def test_a_call_that_must_not_run_twice_is_not_run_again_when_its_server_dies(line: Elsewhere, tmp_path: Path) -> None:
    line.write(STDIO)
    with line.worker(*RINGBACK):
        job = line.finished(line.ask("tickets_go_down_once", path=str(tmp_path / "down")))
        assert (job.state, job.error["code"], job.attempt) == ("unknown", "outcome_unknown", 1)
        # A server that died between two calls costs the second one no failure.
        assert line.finished(line.ask("tickets_create_ticket", ticket={"number": 7, "title": "x"})).result == {
            "result": "created 7"
        }


def test_what_an_mcp_tool_says_when_it_fails_reaches_the_model(line: Elsewhere) -> None:
    line.write(STDIO)
    with line.worker(*RINGBACK):
        job = line.finished(line.ask("tickets_refuse", reason="ask for the year as well"))
        assert (job.state, job.attempt, job.error["code"]) == ("failed", 1, "mcp_error")
        assert "ask for the year as well" in job.error["message"]
        misfit = line.finished(line.ask("tickets_search", query=3))
        assert (misfit.state, misfit.error["code"]) == ("failed", "invalid_arguments")
        assert "query: Input should be a valid string" in misfit.error["message"]


def test_progress_is_noted_and_a_cancelled_call_is_cancelled_at_the_server(line: Elsewhere, tmp_path: Path) -> None:
    line.write(STDIO)
    notes = tmp_path / "notes"
    with line.worker(*RINGBACK):
        job_id = line.ask("tickets_wait_for", path=str(notes))
        eventually(lambda: line.job(job_id).progress == "asked the desk", "progress")
        assert line.run(transitions.cancel(job_id, "default")) == 1
        assert line.finished(job_id).state == "cancelled"
        eventually(lambda: "cancelled" in notes.read_text(), "the server to hear of it")
        (tmp_path / "other.go").touch()
        other = line.finished(line.ask("tickets_wait_for", path=str(tmp_path / "other")))
        assert (other.state, other.result) == ("succeeded", {"result": "here"}), "the session goes on"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process that its parent has died")
def test_no_server_outlives_a_worker_that_is_killed(line: Elsewhere, tmp_path: Path) -> None:
    """Nor do the processes that it has started, though it waits for another event than the end of its input."""
    stubborn = tmp_path / "stubborn.sh"
    stubborn.write_text(f"echo $$ >{tmp_path}/shell\nsleep 3000 &\necho $! >{tmp_path}/child\n"
                        f"{sys.executable} -m {SERVER}\nsleep 3000\n")  # fmt: skip
    line.write(STDIO.replace(f'["{sys.executable}", "-m", "{SERVER}"]', f'["{shutil.which("sh")}", "{stubborn}"]'))
    with line.worker(*RINGBACK) as worker:
        told = line.finished(line.ask("tickets_about_me")).result
        pids = [told["pid"], int((tmp_path / "shell").read_text()), int((tmp_path / "child").read_text())]
        assert all(map(lives, pids))
        worker.kill()
        eventually(lambda: not any(map(lives, pids)), "all of them to end")


def test_an_mcp_server_over_http_is_called_and_comes_back(line: Elsewhere, tmp_path: Path) -> None:
    port = kept_port()
    with http_server(port) as first:
        line.write(f'[mcp.tickets]\nurl = "http://127.0.0.1:{port}/mcp"\n{OPTIONS}')
        with line.worker(*RINGBACK):
            assert line.finished(line.ask("tickets_about_me")).result["pid"] == first.pid
            waiting = line.ask("tickets_wait_for", path=str(tmp_path / "notes"))
            eventually(lambda: line.job(waiting).progress == "asked the desk", "progress")
            first.kill()
            first.wait()
            (tmp_path / "notes.go").touch()
            with http_server(port) as second:
                eventually(lambda: line.job(waiting).state != "running" or line.job(waiting).attempt > 1, "a retry")
                assert line.finished(line.ask("tickets_about_me")).result["pid"] == second.pid
    assert line.history(waiting)[:3] == RETRIED[:3]


def test_an_http_api_is_asked_again_when_it_has_too_much_to_do(line: Elsewhere, tmp_path: Path) -> None:
    shop = Shop()
    shop.write_document(tmp_path)
    with serving(shop.app) as address:
        line.write(SHOP.replace("document", f'base_url = "{address}"\ndocument'))
        with line.worker(*RINGBACK):
            job = line.finished(line.ask("busy", good_try=3))
            assert (job.state, job.result, job.attempt) == ("succeeded", {"try": 3}, 3), job.error
            assert line.history(job.id)[-1] == ("succeeded", None)
            assert line.history(job.id).count(("pending", "http_429")) == 2
            missing = line.finished(line.ask("getOrder", order_id="none"))
            assert (missing.state, missing.error["code"], missing.attempt) == ("failed", "http_404", 1)
            assert "ask for the number again" in missing.error["message"]


def test_an_http_api_that_fails_amid_a_payment_is_not_asked_again(line: Elsewhere, tmp_path: Path) -> None:
    shop = Shop()
    shop.write_document(tmp_path)
    with serving(shop.app) as address:
        line.write(SHOP.replace("document", f'base_url = "{address}"\ndocument'))
        with line.worker(*RINGBACK):
            job = line.finished(line.ask("pay"))
            assert (job.state, job.error["code"]) == ("unknown", "outcome_unknown")
            assert shop.tries["pay"] == 1


def test_a_slow_http_api_is_left_when_nobody_waits_any_more(line: Elsewhere, tmp_path: Path) -> None:
    shop = Shop()
    shop.write_document(tmp_path)
    with serving(shop.app) as address:
        line.write(SHOP.replace("document", f'base_url = "{address}"\ndocument'))
        with line.worker(*RINGBACK):
            job_id = line.ask("slow")
            eventually(lambda: shop.tries.get("slow"), "the API to be asked")
            assert line.run(transitions.cancel(job_id, "default")) == 1
            assert line.finished(job_id).state == "cancelled"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[mcp.tickets]\ncommand = 3\ntools = '*'", "[mcp.tickets] command: input should be a valid list"),
        ("[mcp.tickets]\ncommand = ['no-such-program']\ntools = '*'", "there is no program no-such-program"),
        (f"[mcp.tickets]\ncommand = ['{sys.executable}', '-c', '']\ntools = '*'", "does not tell its tools"),
        ("[mcp.tickets]\nurl = 'http://127.0.0.1:1/mcp'\ntools = '*'", "does not tell its tools"),
        (f"{STDIO}[mcp.tickets.tool.lose]\nretries = 1", "tool.lose: no such tool is served; there are "),
    ],
)
def test_a_file_that_cannot_be_served_gets_one_sentence_and_exit_code_2(
    line: Elsewhere, text: str, sentence: str
) -> None:
    line.file.write_text(text, encoding="utf-8")
    outcome = run(
        [sys.executable, "-W", "ignore", "-m", *RINGBACK],
        cwd=ROOT,
        env={**os.environ, **line.environment()},
        timeout=PATIENCE,
    )
    assert (outcome.returncode, outcome.stderr.count("\n")) == (2, 1), outcome.stderr
    assert outcome.stderr.startswith(f"ringback: {line.file}: ")
    assert sentence in outcome.stderr
