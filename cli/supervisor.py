"""Several processes of one command: forked from one parent, replaced if they end, and stopped together.

The parent has imported, checked and bound everything before, so that its children share memory and listening socket
(docs/decisions/0056). It starts no thread and no event loop: a fork copies the locks that other threads hold.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import NoReturn

from cli.local_stack.backoff import Backoff
from cli.local_stack.lifeline import Lifeline
from ringback.config import logs

FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that the parent sends on to all children."""
UNUSABLE = 2
"""Exit code of a process whose settings cannot work: another one would end the same way."""
BY_SIGNAL = 128
"""What a shell adds to the number of the signal that ended a process."""
SIGNALS_AT_ONCE = 64

log = logging.getLogger(__name__)


def fork_processes(count: int, stop_seconds: float, on_stop: Callable[[], None] = lambda: None) -> None:
    """Fork `count` children and return in each of them. In the parent, watch them, and end the process with them.

    Args:
        stop_seconds: how long children may take to end after a signal; then they are killed.
        on_stop: runs in the parent before it stops the children.
    """
    supervisor = Supervisor(count, stop_seconds, on_stop)
    if supervisor.run():
        from ringback.telemetry.metrics import exposition  # those who fork have imported it

        exposition.close()  # the parent ends by a signal, and runs nothing at its exit
        supervisor.end()
    logs.name_process()


def try_in_child(check: Callable[[], object]) -> None:
    """Run `check` in a child, so that it leaves no trace here. If it fails, end with the child's exit code."""
    pid = os.fork()
    if not pid:
        check()
        raise SystemExit(0)
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit(code if code > 0 else BY_SIGNAL - code)


class Supervisor:
    """The parent of the children. Its methods run in the parent, unless they say otherwise."""

    def __init__(self, count: int, stop_seconds: float, on_stop: Callable[[], None]) -> None:
        self._count = count
        self._stop_seconds = stop_seconds
        self._on_stop = on_stop
        self._children: dict[int, Backoff] = {}
        """By pid: the backoff of its place."""
        self._due: list[tuple[float, Backoff]] = []
        """When to start a child, and for which place."""
        self._is_stopping = False
        self._kill_at: float | None = None
        """When to kill the children that were told to stop; None before and after."""
        self._codes: list[int] = []
        """Exit codes of the children that were told to stop, as in `subprocess`."""

    def run(self) -> bool:
        """Keep the children running until all have ended. Return False in each child, at once."""
        with _heard() as heard:
            self._lifeline = Lifeline()
            self._due = [(0.0, Backoff(monotonic())) for _ in range(self._count)]
            while self._children or self._due:
                if not self._start_due():
                    return False
                self._hear(heard)
                self._reap()
                self._kill_late()
            self._lifeline.close()
        return True

    def end(self) -> NoReturn:
        """End the parent as its children ended: by their signal, or with the first exit code that is no success."""
        asked = [-each for each in FORWARDED]
        wrong = [code for code in self._codes if code and code not in asked]
        if wrong:
            raise SystemExit(wrong[0] if wrong[0] > 0 else BY_SIGNAL - wrong[0])
        for code in filter(None, self._codes):
            signal.raise_signal(-code)
        raise SystemExit(0)

    def _start_due(self) -> bool:
        """Fork the children that are due. Return False in each child."""
        now = monotonic()
        due = [backoff for at, backoff in self._due if at <= now]
        self._due = [(at, backoff) for at, backoff in self._due if at > now]
        for backoff in due:
            backoff.started = now
            waiting, told = os.pipe()
            pid = self._fork()
            if pid == 0:
                os.close(told)
                if not os.read(waiting, 1):
                    os._exit(
                        BY_SIGNAL + signal.SIGTERM
                    )  # The parent was killed before the lifeline knew of this child.
                os.close(waiting)
                return False
            os.close(waiting)
            if pid is None:
                self._due.append((now + backoff.pause(now), backoff))
            else:
                self._children[pid] = backoff
                self._tell_lifeline()
                with suppress(BrokenPipeError):  # the child may have been killed
                    os.write(told, b"!")
            os.close(told)
        return True

    def _fork(self) -> int | None:
        """Fork a child that leads a process group: Ctrl-C in a terminal reaches the parent alone.

        Return None if the system lets no process begin: there may be no memory for it, or too many are there.
        """
        sys.stdout.flush()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # a child must not hear by the parent's handlers
        pid = None
        try:
            pid = os.fork()
        except OSError as problem:
            log.error("no process can be started (%s); trying again after a pause", problem.strerror)
        if pid == 0:
            os.setpgid(0, 0)
            self._lifeline.let_go()
            signal.set_wakeup_fd(-1)
            for each in (*FORWARDED, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
        elif pid is not None:
            with suppress(ProcessLookupError, PermissionError):  # the child may have done it, and may have ended
                os.setpgid(pid, pid)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return pid

    def _hear(self, heard: int) -> None:
        """Wait for a signal or for the next moment; forward the signals that are to stop the children."""
        moments = [at for at, _ in self._due] + ([] if self._kill_at is None else [self._kill_at])
        timeout = max(0.0, min(moments) - monotonic()) if moments else None
        if select.select([heard], [], [], timeout)[0]:
            for number in os.read(heard, SIGNALS_AT_ONCE):
                if number in FORWARDED:
                    self._stop(signal.Signals(number))

    def _stop(self, which: signal.Signals) -> None:
        """Send the signal to all children, and start no other."""
        log.info("%s received: sending it to %d processes", which.name, len(self._children))
        if not self._is_stopping:
            self._is_stopping = True
            self._kill_at = monotonic() + self._stop_seconds
            self._on_stop()
        self._due = []
        for pid in self._children:
            os.kill(pid, which)

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._on_end(pid, os.waitstatus_to_exitcode(status))

    def _on_end(self, pid: int, code: int) -> None:
        backoff = self._children.pop(pid)
        self._tell_lifeline()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        if self._is_stopping:
            self._codes.append(code)
        elif code == UNUSABLE:
            log.error("process %d ended %s: its settings cannot work; stopping all", pid, how)
            self._codes.append(code)
            self._stop(signal.SIGTERM)
        else:
            pause = backoff.pause(monotonic())
            log.error("process %d ended %s; starting another in %g s", pid, how, pause)
            self._due.append((monotonic() + pause, backoff))

    def _kill_late(self) -> None:
        if self._kill_at is None or monotonic() < self._kill_at:
            return
        for pid in self._children:
            log.error("process %d not ended %g s after the signal; killing it", pid, self._stop_seconds)
            os.kill(pid, signal.SIGKILL)
        self._kill_at = None

    def _tell_lifeline(self) -> None:
        self._lifeline.tell([(pid, signal.SIGTERM) for pid in self._children], [])


@contextmanager
def _heard() -> Iterator[int]:
    """Yield a file descriptor from which the numbers of signals are read, in place of their effects."""
    heard, written = os.pipe()
    os.set_blocking(written, False)
    before = {each: signal.signal(each, lambda *_: None) for each in (*FORWARDED, signal.SIGCHLD)}
    wakeup = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    parent = os.getpid()
    try:
        yield heard
    finally:
        if os.getpid() == parent:
            signal.set_wakeup_fd(wakeup)
            for each, handler in before.items():
                signal.signal(each, handler)
        os.close(heard)
        os.close(written)
