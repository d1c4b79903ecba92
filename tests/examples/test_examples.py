"""Each example does what its docstring promises, on a real stack."""

from __future__ import annotations

import ast
import asyncio
import os
import socket
import subprocess
import sys
import textwrap
import wave
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.stack import Stack, running_stack
from ringback.tools.decorator import Tool
from tests.forked import popen
from tests.guarantees.toolbox import FOLDER, GO
from tests.line import Line, eventually, running_line
from tests.ports import kept_port
from workers.remote_tools.loader import load
from workers.tool_registry import load_tools

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SECONDS = 240
"""Until an example is given up: a hang. Those that start a stack of their own take ten on an idle machine."""
pytestmark = pytest.mark.timeout(SECONDS)


def promised(example: str) -> list[str]:
    """The lines that an example's docstring says it prints: the last block that stands indented."""
    text = ast.get_docstring(ast.parse((EXAMPLES / example).read_text(encoding="utf-8"))) or ""
    _, _, block = text.partition("It prints:\n")
    return [line.removeprefix("    ") for line in block.splitlines() if line]


def printed(*argv: str, **env: str) -> list[str]:
    """What a program prints, run from the root of the checkout as its docstring says."""
    ended = subprocess.run(
        [sys.executable, *argv], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True, timeout=SECONDS
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessGroup.__init__, "__defaults__", (popen,))
        with running_stack(durable=False, logs=tmp_path_factory.mktemp("logs")) as running:
            yield running


@pytest.mark.parametrize(
    "example",
    [
        *("ask_in_text.py", "ask_aloud.py", "resume_a_session.py"),
        *("try_my_tools.py", "try_my_elsewhere.py", "rehearse_my_slow_tools.py"),
    ],
)
def test_an_example_that_prints_says_what(example: str) -> None:
    assert promised(example)


def test_every_example_is_run_by_a_test() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if path.stem not in tests] == []


def test_the_tools_of_the_examples_are_what_a_worker_takes() -> None:
    tools = load_tools(["examples.my_tools"])
    assert sorted(tools) == ["book_table", "opening_hours"]


def test_a_tool_can_be_called_by_hand() -> None:
    opening_hours: Tool = load_tools(["examples.my_tools"])["opening_hours"]
    assert opening_hours(day="monday") == "closed"


@pytest.mark.long  # a stack
def test_a_question_asked_aloud_is_heard_and_answered_aloud(stack: Stack, tmp_path: Path) -> None:
    answer = tmp_path / "answer.wav"
    lines = printed("examples/ask_aloud.py", str(answer), RINGBACK_URL=stack.url, RINGBACK_TOKEN=stack.token)
    assert lines == promised("ask_aloud.py")
    with wave.open(str(answer)) as file:
        assert file.getframerate() == 24_000
        assert any(file.readframes(file.getnframes()))


@pytest.mark.long  # a stack
def test_a_question_asked_in_writing_is_answered(stack: Stack) -> None:
    question = "What is the weather in London UK?"
    lines = printed("examples/ask_in_text.py", question, RINGBACK_URL=stack.url, RINGBACK_TOKEN=stack.token)
    assert lines == promised("ask_in_text.py")


@pytest.mark.long  # a stack
def test_a_client_that_was_cut_off_comes_back_and_hears_what_came_meanwhile(stack: Stack) -> None:
    lines = printed("examples/resume_a_session.py", RINGBACK_URL=stack.url, RINGBACK_TOKEN=stack.token)
    assert lines == promised("resume_a_session.py")


@pytest.mark.long  # a stack of its own
def test_tools_of_ones_own_are_called_and_their_results_told() -> None:
    assert printed("-m", "examples.try_my_tools") == promised("try_my_tools.py")


@pytest.mark.long  # a process
def test_slow_tools_are_rehearsed_and_what_a_caller_hears_is_told_second_by_second() -> None:
    assert sorted(load_tools(["examples.my_slow_tools"])) == ["book_flight", "find_flights"]
    assert printed("-m", "examples.rehearse_my_slow_tools") == promised("rehearse_my_slow_tools.py")


@pytest.mark.long  # a process
def test_the_tests_of_tools_pass() -> None:
    told = printed("-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_my_tools.py")
    assert told[-1].startswith("9 passed")


@pytest.mark.long  # a stack of its own
def test_a_caller_who_hung_up_before_the_result_has_it_sent_to_the_agents_webhook(
    database: str, redis_db: str, tmp_path: Path
) -> None:
    """examples/receive_late_results.py, and the table that its docstring adds to an agent's file."""
    receiver, log = urlsplit(f"http://127.0.0.1:{kept_port()}/"), tmp_path / "receiver.log"
    folder, ledger = tmp_path / "agents", tmp_path / "ledger"
    for each in (folder, ledger):
        each.mkdir()
    text = ast.get_docstring(ast.parse((EXAMPLES / "receive_late_results.py").read_text(encoding="utf-8"))) or ""
    table = textwrap.dedent("    [webhook]" + text.partition("    [webhook]")[2].partition("\n\n")[0])
    demo = (ROOT / "agents" / "demo.toml").read_text(encoding="utf-8")
    (folder / "demo.toml").write_text(f"{demo}\n{table.replace('http://127.0.0.1:8099/', receiver.geturl())}")
    secret = {"LATE_RESULTS_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    settings = {**secret, FOLDER: str(ledger)}
    scenario = str(ROOT / "tests/guarantees/toolbox/bakery.yaml")
    given = {"tools": "tests.guarantees.toolbox", "agents": folder, "settings": settings, "scenario": scenario}
    with running_line(database, redis_db, tmp_path, **given) as line:  # type: ignore[arg-type]
        argv: list[str | Path] = [sys.executable, EXAMPLES / "receive_late_results.py", str(receiver.port)]
        ready = partial(_listens, receiver.port or 0)
        line.start(Process("receiver", argv, {**os.environ, **secret}, log, ready=ready))
        session = asyncio.run(_asks_and_hangs_up(line, ledger))
        eventually(lambda: line.get(f"/v1/sessions/{session}")["state"] == "ended", "the session is over")
        (ledger / GO).touch()
        printed = eventually(lambda: log.exists() and log.read_text(), "the result is posted")
        (job,) = line.jobs(session)
        eventually(lambda: line.get(f"/v1/jobs/{job['id']}")["notified_at"], "the history says so")
    assert printed.startswith('order_status succeeded: {"order_id": "A-101", "status": "baked", "eta": "today"')


async def _asks_and_hangs_up(line: Line, ledger: Path) -> str:
    async with line.call() as caller:
        await caller.hear_kind("session.created")
        await caller.ask("Where is my order A-101?")
        await asyncio.to_thread(eventually, lambda: list(ledger.glob("1-A-101-*")), "the order is looked up")
        return caller.session_id


def _listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_the_tools_of_the_tool_file_are_those_of_my_mcp_server_and_of_my_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "http://127.0.0.1:8090")
    tools = {tool.name: tool.announcement for tool in load([str(EXAMPLES / "my_elsewhere.toml")])}
    assert sorted(tools) == ["cancel_order", "find_ticket", "open_ticket", "order_state"]
    assert {name: (told.effect.value, told.retries, told.queue) for name, told in tools.items()} == {
        "find_ticket": ("pure", 1, "tickets"),
        "open_ticket": ("at_most_once", 0, "tickets"),
        "order_state": ("pure", 0, "default"),
        "cancel_order": ("idempotent", 2, "default"),
    }
    assert list(tools["cancel_order"].parameters["properties"]) == ["id"], "who is talking is not the model's to say"


@pytest.mark.long  # a stack of its own
def test_tools_that_are_elsewhere_are_called_and_their_results_told() -> None:
    assert printed("-m", "examples.try_my_elsewhere") == promised("try_my_elsewhere.py")
