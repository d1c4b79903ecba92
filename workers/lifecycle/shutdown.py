"""Shutdown of a worker process, in a thread, even if Celery hangs; `workers.lifecycle.shutdown_policy` decides.

Celery's warm shutdown waits for calls without a bound, and has been seen to hang without any call. A call in a thread
cannot be stopped either: so the process hands back what it runs, and ends itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, sleep

from workers.leases.lease import FENCED_EXIT
from workers.lifecycle.shutdown_policy import HAND_BACK_SECONDS, SIGN_OFF_SECONDS, ShutdownPolicy, ShutdownStep
from workers.lifecycle.stop_signal import StopSignal

LOOK_SECONDS = 0.1
"""How late a second signal, or the end of the last call, may be noticed."""

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
