"""What `ringback up` answers to its page: one line in, one line out, and never a traceback."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.local_stack.page.stack_control import MAX_MOMENTS, SHOWN, Moments, StackControl, listening, sentence_for
from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.stack import Stack

pytestmark = pytest.mark.loopback

NOWHERE = "http://127.0.0.1:1"
STALE = "This page is of an earlier start. Open the link that `ringback up` has printed."


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(NOWHERE, "rb_token", "", "", "", ProcessGroup(), page_socket=tmp_path / "page.sock")


def ask(stack: Stack, moments: Moments | None = None, **request: Any) -> dict[str, Any]:
    line = json.dumps({"token": stack.page_token, **request}).encode()
    return StackControl(stack, moments or Moments()).answer(line)


@pytest.mark.parametrize("token", ["", "x" * 32, None, 7, ["a"], "ü"])
def test_a_page_without_the_token_of_this_start_gets_no_answer(stack: Stack, token: Any) -> None:
    for request in ("hello", "secret", "look", "kill"):
        assert ask(stack, ask=request, process="worker", token=token) == {"error": STALE}


@pytest.mark.parametrize("line", [b"", b"\xff", b"[]", b"{}", b'{"ask": "shell"}', b'{"ask": []}', b'{"ask": "kill"'])
def test_what_is_no_request_is_answered_with_a_sentence(stack: Stack, line: bytes) -> None:
    assert str(StackControl(stack, Moments()).answer(line)["error"]).endswith(".")


@pytest.mark.parametrize("process", ["simulator", "postgres", "worker-2", "", None, 1])
def test_the_page_kills_nothing_but_gateway_and_worker(stack: Stack, process: Any) -> None:
    assert ask(stack, ask="kill", process=process)["error"] == "`process` is one of gateway, worker."


def test_a_process_that_is_dead_already_cannot_be_killed(stack: Stack) -> None:
    assert str(ask(stack, ask="kill", process="worker")["error"]).startswith("The worker is dead already")


def test_the_newest_worker_is_killed_by_sigkill_and_reported_as_ended(stack: Stack) -> None:
    moments = Moments()
    with stack.processes as group:
        group.start(Process("worker-2", ["sleep", "60"]))
        pid = group.pid("worker-2")
        assert ask(stack, moments, ask="kill", process="worker") == {"pid": pid}
        assert str(group.wait()) == "worker-2 was killed by SIGKILL"
    (moment,) = ask(stack, moments, ask="look")["moments"]
    assert (moment["process"], moment["what"]) == ("worker", f"kill -9 {pid}: you killed the worker")


def test_without_a_gateway_there_is_no_secret(stack: Stack) -> None:
    assert ask(stack, ask="secret") == {"error": "The gateway does not answer."}


def test_moments_are_numbered_and_the_oldest_forgotten() -> None:
    moments = Moments()
    for number in range(MAX_MOMENTS + 5):
        moments.note("worker", str(number))
    assert len(moments.after(0)) == MAX_MOMENTS
    assert [moment["what"] for moment in moments.after(MAX_MOMENTS + 3)] == [str(MAX_MOMENTS + 3), str(MAX_MOMENTS + 4)]


def test_a_line_on_the_socket_is_answered_by_a_line(stack: Stack) -> None:
    with listening(StackControl(stack, Moments()), stack.page_socket), socket.socket(socket.AF_UNIX) as page:
        page.connect(str(stack.page_socket))
        page.sendall(json.dumps({"ask": "look", "token": stack.page_token}).encode() + b"\n")
        assert json.loads(page.makefile().readline()) == {"moments": [], "jobs": []}


def test_a_tool_of_ones_own_has_a_sentence_too() -> None:
    assert sentence_for("lookup_invoice") == "Use lookup invoice."


def test_a_page_that_knows_its_session_alone_is_told_of_its_calls(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = {field: field for field in SHOWN} | {"id": "j1", "secret": "of the history"}
    lists = {"/v1/jobs?session=rb_sess%2F1&limit=8": [{"id": "j1"}]}
    monkeypatch.setattr(Stack, "listed", lambda _, path: lists[path])
    monkeypatch.setattr(Stack, "get", lambda _, path: httpx.Response(200, json=job))
    answer = ask(stack, ask="look", session="rb_sess/1", jobs=["j1"])
    assert answer["jobs"] == [{field: job[field] for field in SHOWN}]
