"""Shutdown of a worker process, in a thread, even if Celery hangs; `workers.lifecycle.shutdown_policy` decides.

Celery's warm shutdown waits for calls without a bound, and has been seen to hang without any call. A call in a thread
cannot be stopped either: so the process hands back what it runs, and ends itself.

The death of a vital thread also ends the process, for its supervisor to start another. A worker that renews its lease
and no longer sweeps, publishes or stops looks alive, and is not. Each vital thread survives the faults that it expects;
any other fault must not go unnoticed. Threads that a tool starts are the tool's own concern.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, sleep

from workers.leases.lease import FENCED_EXIT
from workers.lifecycle.shutdown_policy import HAND_BACK_SECONDS, SIGN_OFF_SECONDS, ShutdownPolicy, ShutdownStep
from workers.lifecycle.stop_signal import StopSignal

LOOK_SECONDS = 0.1
"""How late a second signal, or the end of the last call, may be noticed."""
ENDING = frozenset({"shutdown", "end-late"})
"""Threads that would end the process in order."""
VITAL = ENDING | {
    "lease",
    "lease-clock",
    "sweeper",
    "delayed-publisher",
    "progress-notes",
    "canary",
    "tool-loop",
    "deadlines",
}
"""Names of the threads that `workers/` starts, except those in which tools run, and that of the metrics."""

logger = logging.getLogger(__name__)


@dataclass
class Shutdown:
    """Shutdown of one process.

    Args:
        stop_signal: counts the stop requests.
        drain_seconds: how long calls may go on.
        is_busy: whether any call runs.
        hand_back: give them to others; calls that are left when it returns are lost.
        sign_off: close everything; calling it twice does no harm.
    """

    stop_signal: StopSignal
    drain_seconds: float
    is_busy: Callable[[], bool]
    hand_back: Callable[[], None]
    sign_off: Callable[[], None]
    code: int = field(default=0, init=False)
    """Exit code, if the process ends itself."""

    def start(self) -> None:
        """Watch for a stop request."""
        Thread(target=self._run, name="shutdown", daemon=True).start()

    def _run(self) -> None:
        while not self.stop_signal.count:
            self.stop_signal.wait(LOOK_SECONDS)
        logger.info("shutdown requested: calls may run for %g s more", self.drain_seconds)
        stopping = ShutdownPolicy(monotonic(), self.drain_seconds)
        while (
            turn := stopping.next_step(monotonic(), asked=self.stop_signal.count, busy=self.is_busy())
        ) is ShutdownStep.WAIT:
            sleep(LOOK_SECONDS)  # not `wait`: once requested, it returns at once
        seconds = HAND_BACK_SECONDS if turn is ShutdownStep.HAND_BACK else SIGN_OFF_SECONDS
        Thread(target=self._end_late, args=(seconds,), name="end-late", daemon=True).start()
        try:
            if turn is ShutdownStep.HAND_BACK:
                self.hand_back()
            self.sign_off()
        except Exception:
            logger.exception("sign-off failed by a fault; the lease will expire")
        os._exit(self.code)

    def _end_late(self, seconds: float) -> None:
        Event().wait(seconds)
        logger.error("sign-off stuck for %g s; exiting", seconds)
        os._exit(self.code or FENCED_EXIT)


def end_on_thread_death(end: Callable[[str], None]) -> None:
    """End the process if a vital thread dies from now on.

    Args:
        end: called with the reason, to hand back what runs here and end.
    """
    others = threading.excepthook

    def hook(death: threading.ExceptHookArgs) -> None:
        name = death.thread.name if death.thread else ""
        if name not in VITAL:
            others(death)
            return
        reason = f"thread died ({name}) of {death.exc_type.__name__}"
        logger.critical("%s", reason, exc_info=death.exc_value)
        if name in ENDING:
            os._exit(FENCED_EXIT)
        end(reason)

    threading.excepthook = hook
