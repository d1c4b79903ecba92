"""The processes that one command keeps: started in order, watched, and ended to the last one.

`ringback up`, `ringback demo` and the tests that kill servers run everything as children: a `Process` says what to
run and when it is ready, a `ProcessGroup` runs it (docs/decisions/0049).

- Each child leads a session: Ctrl-C in a terminal reaches the parent alone, which ends the youngest child first. One
  signal to a child's process group reaches the child's own children. What a child leaves behind is killed as it ends.
- One thread per child reads its output, another one waits for its end; only a readiness probe polls.
- **kill -9 of the parent leaves no process**: each group keeps a `Lifeline`.
"""

from __future__ import annotations

import http.client
import os
import queue
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, Self, cast
from urllib.parse import urlsplit

from cli.local_stack.lifeline import Lifeline, remove
from cli.local_stack.signals import held_back
from ringback.errors import RingbackError

READY_SECONDS = 30.0  # a cold Celery takes 2 s on an idle machine; a busy CI machine ten times that
STOP_SECONDS = 10.0  # a worker may finish what it holds; a person who pressed Ctrl-C will not wait longer
KILL_SECONDS = 5.0  # SIGKILL works at once, unless the kernel is stuck in a disk's driver: then we say so
DRAIN_SECONDS = 1.0  # a dead group's pipe closes at once; a daemon that left the group may hold it for ever
POLL_SECONDS = 0.05  # how often a readiness probe looks
PROBE_SECONDS = 2.0  # one HTTP probe: a server that accepts and never answers must not eat READY_SECONDS
TAIL_LINES = 20  # what an error quotes of a child's output: a traceback fits, and it fits a screen
HEAR_SECONDS = 1.0  # how long `wait` may take to hear Ctrl-C if the signal interrupts another thread


class ProcessError(RingbackError):
    """A child did not do what was asked; the message quotes its last lines of output."""


class Ended(NamedTuple):
    """How a child ended. `returncode` as in `subprocess`: negative is the signal that killed it."""

    name: str
    returncode: int

    def __str__(self) -> str:
        if self.returncode < 0:
            return f"{self.name} was killed by {signal.Signals(-self.returncode).name}"
        return f"{self.name} exited with code {self.returncode}"


@dataclass(frozen=True)
class Process:
    """What to run.

    Args:
        env: added to the parent's environment.
        log: gets the output, appended; None shows it on stderr, line by line behind the name.
        ready: a regex that is searched in each line of output, a URL that must answer 2xx, or a function that must
            return true; None: ready once started.
        account: a (uid, gid), which only root can give.
    """

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    ready: re.Pattern[str] | str | Callable[[], bool] | None = None
    ready_seconds: float = READY_SECONDS
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = STOP_SECONDS
    account: tuple[int, int] | None = None


class ProcessGroup:
    """Child processes that live no longer than this context.

    Args:
        popen: starts each, with the arguments of `subprocess.Popen`.
    """

    def __init__(self, popen: Callable[..., subprocess.Popen[str]] = subprocess.Popen) -> None:
        self._popen = popen
        self._children: dict[str, _Child] = {}
        self._folders: list[Path] = []
        self._ended: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        self._lock = threading.Lock()  # children end in threads of their own

    def __enter__(self) -> Self:
        self._lifeline = Lifeline()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._lifeline.close()

    def start(self, process: Process) -> int:
        """Start it, wait until it is ready, return its pid; raise ProcessError, and end it, if it is not."""
        child = self._adopt(process)
        child.wait_until(child.is_ready, "ready")
        child.was_ready = True
        return child.pid

    def run(self, process: Process) -> None:
        """Run it to its end; raise ProcessError unless it exits with 0 within `ready_seconds`."""
        child = self._adopt(process)
        child.asked_to_end = True
        child.wait_until(lambda: child.ended.is_set() and child.how_ended.returncode == 0, "done")

    def stop(self) -> None:
        """End all children, the youngest first, then remove the folders. Calling it again is harmless."""
        for name in reversed(list(self._children)):
            self.end(name)
        while self._folders:
            remove(self._folders.pop())

    def pid(self, name: str) -> int:
        """Return the pid of the process that runs, or last ran, under this name."""
        return self._children[name].pid

    def living(self) -> list[str]:
        """Return the names of the processes that run, the oldest first."""
        return [name for name, child in list(self._children.items()) if child.lives]

    def restart(self, name: str) -> int:
        """Stop it if it still runs, start the same again, wait until it is ready."""
        self._children[name].stop()
        return self.start(self._children[name].process)

    def end(self, name: str) -> None:
        """Stop it, and forget it: another may have its name."""
        self._children[name].stop()
        del self._children[name]

    def kill(self, name: str) -> None:
        """Send SIGKILL to its process group; return when it is dead. `wait` does not report it."""
        self._children[name].kill()

    def crash(self, name: str) -> None:
        """Send SIGKILL to its process group, as the kernel does for want of memory: `wait` reports its end."""
        self._children[name].send(signal.SIGKILL)

    def pause(self, name: str) -> None:
        """Send SIGSTOP to its process group: it keeps its sockets, like a machine that hangs."""
        self._children[name].send(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Send SIGCONT to its process group."""
        self._children[name].send(signal.SIGCONT)

    def wait(self) -> Ended:
        """Block until a child ends unasked; return which. A signal's handler may interrupt it by an exception.

        A child that ended before it was ready is not reported: `start` has raised for it.
        """
        while True:
            # With a bound: a signal that the kernel gives to another thread is heard when this one next wakes.
            with suppress(queue.Empty):
                child = self._ended.get(timeout=HEAR_SECONDS)
                if not child.asked_to_end and child.was_ready:
                    return child.how_ended

    def discard(self, folder: Path) -> None:
        """Remove this folder when the group ends, however it ends."""
        self._folders.append(folder)
        self._tell_lifeline()

    def make_folder(self, within: Path | None = None) -> Path:
        """Make a folder that is removed when the group ends; by default where temporary folders are."""
        # As short as tempfile's own: the path of a socket in it has a limit.
        folder = (within or Path(tempfile.gettempdir())).resolve() / f"ringback-{secrets.token_urlsafe(6)}"
        self.discard(folder)  # before it is there: a signal may come in between
        folder.mkdir(mode=0o700)
        return folder

    def _adopt(self, process: Process) -> _Child:
        if process.name in self._children and self._children[process.name].lives:
            raise ValueError(f"{process.name} runs already: give each process a name of its own")
        self._children.pop(process.name, None)  # a restarted child is the youngest again
        with held_back():  # or a signal might leave a child that no code ends
            child = self._children[process.name] = _Child(process, self._on_end, self._popen)
        self._tell_lifeline()
        return child

    def _on_end(self, child: _Child) -> None:
        self._tell_lifeline()
        self._ended.put(child)

    def _tell_lifeline(self) -> None:
        with self._lock:
            living = [child for child in list(self._children.values()) if child.lives]
            self._lifeline.tell([(child.pid, child.process.stop_signal) for child in living], self._folders)


class _Child:
    """One running process and its two threads. Once `ended` is set its whole process group is dead."""

    def __init__(
        self, process: Process, on_end: Callable[[_Child], None], popen: Callable[..., subprocess.Popen[str]]
    ) -> None:
        self.process = process
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.ended = threading.Event()
        self.asked_to_end = False
        self.was_ready = False
        self._matched = False
        self._news = threading.Event()  # the ready line came, or the end
        self._on_end = on_end
        uid, gid = process.account or (None, None)
        self._popen = popen(  # the caller's own argv, no shell
            [str(word) for word in process.argv],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **process.env},  # or a ready line waits in a buffer
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            start_new_session=True,
            user=uid,
            group=gid,
            extra_groups=None if gid is None else [gid],
        )
        self.pid = self._popen.pid
        self._reader = threading.Thread(target=self._read, name=f"output of {process.name}", daemon=True)
        self._reader.start()
        threading.Thread(target=self._watch, name=f"end of {process.name}", daemon=True).start()

    @property
    def lives(self) -> bool:
        return self._popen.returncode is None

    @property
    def how_ended(self) -> Ended:
        return Ended(self.process.name, self._popen.returncode)

    def is_ready(self) -> bool:
        if self.ended.is_set():
            return False  # what answers at its address is another process
        ready = self.process.ready
        if ready is None or isinstance(ready, re.Pattern):
            return ready is None or self._matched
        return _answers(ready) if isinstance(ready, str) else ready()

    def wait_until(self, reached: Callable[[], bool], word: str) -> None:
        limit = self.process.ready_seconds
        deadline = time.monotonic() + limit
        while True:
            over, late = self.ended.is_set(), time.monotonic() > deadline  # before the look, or it may miss the last
            if reached():
                return
            if over or late:
                self.kill()
                why = f"{self.how_ended} before it was" if over else f"after {limit:g} s {self.process.name} was not"
                raise ProcessError("\n  | ".join([f"{why} {word}; its last lines of output:", *self.tail]))
            self._news.wait(POLL_SECONDS)

    def stop(self) -> None:
        """Ask, wait `stop_seconds`, kill. SIGCONT because a paused process hears SIGKILL alone."""
        self.asked_to_end = True
        self.send(self.process.stop_signal)
        self.send(signal.SIGCONT)
        if not self.ended.wait(self.process.stop_seconds):
            self.kill()

    def kill(self) -> None:
        self.asked_to_end = True
        self.send(signal.SIGKILL)
        if not self.ended.wait(KILL_SECONDS):
            raise ProcessError(f"{self.process.name} (pid {self.pid}) survived SIGKILL: look at it with ps")

    def send(self, which: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if self.lives:  # else another process may have its id by now
                os.killpg(self.pid, which)

    def _read(self) -> None:
        ready, name = self.process.ready, self.process.name
        log = self.process.log.open("a", encoding="utf-8") if self.process.log else nullcontext(sys.stderr)
        with cast(IO[str], self._popen.stdout) as output, log as sink:
            for line in map(str.rstrip, output):
                self.tail.append(line)
                print(line if self.process.log else f"{name:>10} | {line}", file=sink, flush=True)
                if isinstance(ready, re.Pattern) and ready.search(line):
                    self._matched = True
                    self._news.set()

    def _watch(self) -> None:
        self._popen.wait()
        with suppress(ProcessLookupError, PermissionError):  # the latter is macOS' word for a group of zombies
            os.killpg(self.pid, signal.SIGKILL)  # what it left behind
        self._reader.join(DRAIN_SECONDS)
        self._on_end(self)
        self.ended.set()
        self._news.set()


def free_port() -> int:
    """Return a loopback TCP port that is free now. Another process may take it before you do: bind soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    """Return whether it answers 2xx, asked directly: a proxy of the environment does not reach this loopback."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PROBE_SECONDS)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", parts.path or "/")
        return 200 <= connection.getresponse().status < 300
    return False
