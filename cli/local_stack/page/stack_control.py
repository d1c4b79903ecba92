"""Answers what the page asks of `ringback up`, on a Unix socket in a folder that only its owner can enter.

One line of JSON comes in, one goes out. Each request names the token of this start, which is in the link that
`ringback up` prints: another account of the machine can reach the gateway's port, and has no such link.
"""

from __future__ import annotations

import hmac
import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote

import httpx

from cli.local_stack.stack import Stack, agents_of
from ringback.errors import RingbackError

SECRET_SECONDS = 60
"""How long a minted secret may begin its one conversation: the page connects at once."""
MAX_LINE = 16 * 1_024
MAX_JOBS = 8
"""Calls that one look tells of."""
MAX_MOMENTS = 200
"""What happened to processes, the newest; a page that looks on misses none."""
KILLED = ("gateway", "worker")
"""Processes that the page may kill."""
SHOWN = (
    "id",
    "tool",
    "state",
    "delivery",
    "attempt",
    "arguments",
    "error",
    "progress",
    "summary",
    "attempts",
    "transitions",
)
"""Fields of a call that the page shows."""
SENTENCES = {
    "weather": "What is the weather in London?",
    "order_status": "Where is my order?",
    "quote_of_the_day": "Give me a quote of the day.",
    "random_number": "Pick a random number between one and ten.",
    "fetch_url": "",
}
"""What to say for the tools that ship; an address is not for saying."""


class NotAnswered(RingbackError):
    """A request that cannot be met; the message is for the person at the page."""


class Moments:
    """What happened to the processes, in order: `{"number", "at", "process", "what"}`, `at` in seconds of Unix time."""

    def __init__(self) -> None:
        self._all: list[dict[str, Any]] = []
        self._count = 0
        self._lock = threading.Lock()  # the page's requests and the supervisor are in different threads

    def note(self, process: str, what: str) -> None:
        """Add what has happened to this process just now."""
        with self._lock:
            self._count += 1
            self._all.append({"number": self._count, "at": time(), "process": process, "what": what})
            del self._all[:-MAX_MOMENTS]

    def after(self, number: int) -> list[dict[str, Any]]:
        """Return what came after the moment of this number."""
        with self._lock:
            return [moment for moment in self._all if moment["number"] > number]


class StackControl:
    """Answers the page's requests about one stack.

    Args:
        stack: a running one.
        moments: gets what the page does to its processes.
    """

    def __init__(self, stack: Stack, moments: Moments) -> None:
        self._stack = stack
        self._moments = moments
        self._requests: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "hello": self._hello,
            "secret": self._secret,
            "look": self._look,
            "kill": self._kill,
        }

    def answer(self, line: bytes) -> dict[str, Any]:
        """Return the answer to one request; `error` in it says why there is none."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError
            answer = self._requests.get(str(request.get("ask")))
            if answer is None:
                raise NotAnswered(f"`ask` is one of {', '.join(self._requests)}.")
            if not hmac.compare_digest(str(request.get("token")).encode(), self._stack.page_token.encode()):
                raise NotAnswered("This page is of an earlier start. Open the link that `ringback up` has printed.")
            return answer(request)
        except ValueError:
            return {"error": "The request is one object in JSON."}
        except RingbackError as problem:
            return {"error": str(problem)}
        except httpx.HTTPError:
            return {"error": "The gateway does not answer."}

    def _hello(self, _: Mapping[str, Any]) -> dict[str, Any]:
        """Return the agents, each with what may be said to it: for each tool that it allows and a worker serves.

        `recorded` names those whose talks are recorded.
        """
        served = [tool["name"] for tool in self._stack.listed("/v1/tools")]
        known = agents_of(self._stack)
        agents = {
            name: list(filter(None, (sentence_for(tool) for tool in served if agent.allows(tool))))
            for name, agent in known.items()
        }
        recorded = [name for name, agent in known.items() if agent.recording]
        return {
            "agents": agents,
            "recorded": recorded,
            "moment": max([0, *(each["number"] for each in self._moments.after(0))]),
        }

    def _secret(self, request: Mapping[str, Any]) -> dict[str, Any]:
        agent = request.get("agent")
        body = {
            "expires_after": {"anchor": "created_at", "seconds": SECRET_SECONDS},
            "ringback": {"user": "page", **({} if agent is None else {"agent": agent})},
        }
        answer = self._stack.post("/v1/realtime/client_secrets", body)
        if not answer.is_success:
            raise NotAnswered(str(answer.json()["error"]["message"]))
        return {"value": answer.json()["value"]}

    def _look(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return what happened to processes since the moment `since`, and calls: those of `jobs`, and of `session`.

        A page whose voice goes over WebRTC hears of no job: it knows its session.
        """
        since, jobs, session = request.get("since", 0), request.get("jobs", []), request.get("session")
        if not isinstance(since, int) or not isinstance(jobs, list):
            raise NotAnswered("`since` is a number, and `jobs` a list of ids.")
        if session is not None:
            listed = self._stack.listed(f"/v1/jobs?session={quote(str(session), safe='')}&limit={MAX_JOBS}")
            jobs = list(dict.fromkeys([*(job["id"] for job in listed), *map(str, jobs)]))
        found = [self._stack.get(f"/v1/jobs/{quote(str(job), safe='')}") for job in jobs[:MAX_JOBS]]
        calls = [answer.json() for answer in found if answer is not None and answer.is_success]
        return {
            "moments": self._moments.after(since),
            "jobs": [{field: call[field] for field in SHOWN} for call in calls],
        }

    def _kill(self, request: Mapping[str, Any]) -> dict[str, Any]:
        kind = request.get("process")
        if kind not in KILLED:
            raise NotAnswered(f"`process` is one of {', '.join(KILLED)}.")
        # After a reload of tools the worker has another name (cli.local_stack.reload).
        for name in reversed(self._stack.processes.living()):
            if name == kind or name.startswith(f"{kind}-"):
                pid = self._stack.processes.pid(name)
                self._moments.note(kind, f"kill -9 {pid}: you killed the {kind}")
                self._stack.processes.crash(name)
                return {"pid": pid}
        raise NotAnswered(f"The {kind} is dead already, and about to be started again.")


def sentence_for(tool: str) -> str:
    """Return what a person may say to have this tool called; empty if there is no such sentence."""
    return SENTENCES.get(tool, f"Use {tool.replace('_', ' ')}.")


@contextmanager
def listening(control: StackControl, path: Path) -> Iterator[None]:
    """Serve the control on a Unix socket for the duration of the block."""

    class OneLine(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            answer = control.answer(self.rfile.readline(MAX_LINE))
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    with socketserver.ThreadingUnixStreamServer(str(path), OneLine) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="page control", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
