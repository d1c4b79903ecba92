"""Death of a vital thread, which ends the process, for its supervisor to start another.

A worker that renews its lease and no longer sweeps, publishes or stops looks alive, and is not. Each vital thread
survives the faults that it expects; any other fault must not go unnoticed. Threads that a tool starts are the tool's
own concern.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from workers.leases.lease import FENCED_EXIT

ENDING = frozenset({"shutdown", "end-late"})
"""Threads that would end the process in order."""
VITAL = ENDING | {"lease", "lease-clock", "sweeper", "delayed-publisher", "progress-notes", "canary", "tool-loop"}
"""Names of the threads that `workers/` starts, except those in which tools run."""

logger = logging.getLogger(__name__)


def watch(end: Callable[[str], None]) -> None:
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
