"""`ringback up`, run like a person runs it: what stays from one start to the next, and tools edited meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from simulator.callers import phone, twilio
from tests.caller import spoken
from tests.forked import FORKING_CLI, ROOT, ended, popen
from tests.ports import kept_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

PATIENCE = 60.0
UP = ("up", "--folder")
TOOL = '''from ringback import tool


@tool
def {name}() -> str:
    """Say a word."""
    return "word"
'''


class Up:
    """One `ringback up`, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = ""
        self._lines: Iterator[str] = iter(process.stdout or ())

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read lines until one of them matches; the end of the output is a failure."""
        for line in self._lines:
            self.text += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} never came:\n{self.text}")


@pytest.fixture
def folder(open_folder: Path) -> Path:
    (open_folder / "my_words.py").write_text(TOOL.format(name="first_word"))
    return open_folder


def as_users_do(folder: Path, *options: str) -> AbstractContextManager[Up]:
    return up_by(partial(subprocess.Popen, [sys.executable, "-m", "cli", *UP, folder / "kept", *options]), folder, {})


def running(folder: Path, *options: str, **env: str) -> AbstractContextManager[Up]:
    """The same, with all of its processes forked."""
    command = [*FORKING_CLI, *UP, str(folder / "kept"), *options]
    return up_by(partial(popen, command), folder, {"PYTHONPATH": str(ROOT), **env})


@contextmanager
def up_by(start: Callable[..., subprocess.Popen[str]], folder: Path, env: Mapping[str, str]) -> Iterator[Up]:
    process = start(
        cwd=folder,
        env={**os.environ, "RINGBACK_TOOL_MODULES": "my_words", "COLUMNS": "500", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    guard = Thread(target=_kill_late, args=(process,), daemon=True)
    guard.start()
    try:
        yield Up(process)
    finally:
        process.send_signal(signal.SIGINT)
        rest, code = ended(process)  # it is killed if it does not end
        assert code == 0, rest
        assert "Traceback" not in rest


def _kill_late(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(PATIENCE * 2)
    except subprocess.TimeoutExpired:
        process.kill()


def welcome(up: Up) -> dict[str, str]:
    """What the banner tells other terminals to export."""
    up.read_until("Ringback is up")
    first = up.read_until(r"export RINGBACK_URL=(\S+) RINGBACK_TOKEN=(\S+)")
    redis = up.read_until(r"export REDIS_URL='(\S+)'")
    return {"url": first[1], "token": first[2], "redis": redis[1]}


def test_a_tool_that_is_edited_is_served_and_one_that_breaks_costs_nothing(folder: Path) -> None:
    with as_users_do(folder, "--port", "0", "--watch") as up:
        welcome(up)
        up.read_until(r"^No agent allows first_word: add it to `tools` in an agent's file in ")
        up.read_until(r"^Watching ")
        (folder / "my_words.py").write_text(TOOL.format(name="second_word"))
        up.read_until(r"^my_words.py changed: worker-2 serves, and worker has ended\.$")
        (folder / "my_words.py").write_text("def broken(")
        up.read_until(r"^my_words.py changed, and the tools do not load; the worker before goes on\.")
    assert "serves default: first_word" in up.text
    assert "serves default: second_word" in up.text


def test_token_and_ports_stay_and_a_port_that_is_taken_is_told(folder: Path) -> None:
    with running(folder, "--port", "0", "--tls") as up:
        first = welcome(up)
        certificate = up.read_until(r"export SSL_CERT_FILE=(\S+)")[1]
        trusted = ssl.create_default_context(cafile=certificate)
        assert httpx.get(f"{first['url']}/healthz", verify=trusted).json() == {"status": "ok"}
        hears = {"Authorization": f"Bearer {first['token']}"}
        asked = httpx.get(f"{first['url']}/v1/sessions/{uuid4()}/recording", headers=hears, verify=trusted)
        assert asked.status_code == 404, "its owner's token may listen; there is no such session"
        port = first["url"].rpartition(":")[2]
        other = [sys.executable, "-m", "cli", "up", "--folder", str(folder / "other"), "--port", port]
        done = subprocess.run(other, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"ringback: port {port} is in use, perhaps by another ringback")
        assert len(done.stderr.splitlines()) == 1
    for kept in (port, first["redis"].rpartition(":")[2].partition("/")[0]):
        kept_port(int(kept))
    with running(folder, "--port", "0", "--tls") as up:
        assert welcome(up) == first


def test_a_tool_from_the_template_answers_what_is_typed_without_a_scenario(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "cli", "new-tool", "gift_card"], cwd=folder, check=True, capture_output=True)
    (folder / "agents").mkdir()
    (folder / "agents" / "demo.toml").write_text('instructions = "Help."\ntools = ["gift_card"]\n')
    own = {"RINGBACK_TOOL_MODULES": "gift_card", "RINGBACK_AGENTS": str(folder / "agents")}
    with running(folder, "--port", "0", **own) as up:
        told = welcome(up)
        url = f"{told['url'].replace('http', 'ws', 1)}/v1/realtime?agent=demo"
        with connect(url, additional_headers={"Authorization": f"Bearer {told['token']}"}) as caller:
            assert asked(caller, "Tell me a joke.") == "I can say in a sentence what this is for."
            assert asked(caller, "Use the gift card.") == "Which subject?"
            assert asked(caller, "It's for my sister, please.") == "my sister: all is well"


def test_a_phone_and_twilio_call_it_at_the_addresses_that_are_told(folder: Path) -> None:
    number, secret, token = "+18005551212", f"whsec_{'A' * 43}=", "the-token-of-twilio"
    (folder / "agents").mkdir()
    (folder / "agents" / "demo.toml").write_text(f'instructions = "Help."\n[phone]\nnumbers = ["{number}"]\n')
    url = f"http://127.0.0.1:{kept_port()}"
    own = {"RINGBACK_AGENTS": str(folder / "agents"), "OPENAI_WEBHOOK_SECRET": secret}
    own |= {"TWILIO_AUTH_TOKEN": token, "RINGBACK_PUBLIC_URL": url}
    with running(folder, "--port", url.rpartition(":")[2], **own) as up:
        welcome(up)
        printed = up.read_until(r"ringback simulator phone --simulator (\S+) --webhook (\S+) --secret \S+ --to \S+$")
        dialled = {"To": f"sip:{number}@sip.example.com"}
        by_sip = phone.call(printed[1], printed[2], secret, headers=dialled, until=lambda call: bool(call.heard))
        told = asyncio.run(by_sip)
        assert {"type": "answered"} in told.news
        assert told.heard, "the greeting"
        voice = f"{url}/twilio/voice"
        media = asyncio.run(twilio.call(voice, token, form={"To": number}, until=lambda call: bool(call.marks)))
    assert [verb for verb, _ in media.verbs] == ["Connect"]
    assert media.played, "the greeting"


def asked(caller: ClientConnection, text: str) -> str:
    """The final answer to a typed sentence: what a model says beside a call does not count."""
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    caller.send(json.dumps({"type": "conversation.item.create", "item": item}))
    caller.send(json.dumps({"type": "response.create"}))
    while True:
        event = json.loads(caller.recv(timeout=PATIENCE))
        assert event["type"] != "error", event
        if event["type"] == "response.done" and not _is_commentary(event) and (said := spoken(event)):
            return said


def _is_commentary(response_done: dict[str, Any]) -> bool:
    return any(item.get("phase") == "commentary" for item in response_done["response"]["output"])
