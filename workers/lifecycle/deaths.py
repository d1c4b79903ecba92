"""The death of a thread that a worker cannot do without: it ends the process, for its supervisor to start another.

A worker that renews its lease and no longer sweeps, publishes or leaves looks alive, and is not. Each of these threads
survives what it can expect; what it does not expect must not pass without a word. Threads that a tool starts are the
tool's own affair.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from workers.leases.lease import FENCED_EXIT

ENDING = frozenset({"leaving", "end-late"})
"""The threads that would see to an end in order."""
VITAL = ENDING | {"lease", "lease-clock", "sweeper", "later", "progress-notes", "canary", "tool-loop"}
"""Every thread that `workers/` starts, by name, but those in which tools run."""

logger = logging.getLogger(__name__)


def watch(end: Callable[[str], None]) -> None:
    """From now on the death of a vital thread ends the process.

    Args:
        end: called with the reason, to hand back what runs here and end.
    """
    others = threading.excepthook

    def hook(death: threading.ExceptHookArgs) -> None:
        name = death.thread.name if death.thread else ""
        if name not in VITAL:
            others(death)
            return
        reason = f"the thread {name} has died of {death.exc_type.__name__}"
        logger.critical("%s", reason, exc_info=death.exc_value)
        if name in ENDING:
            os._exit(FENCED_EXIT)
        end(reason)

    threading.excepthook = hook
