"""Has the first child of a prefork pool end itself before the pool is ready, as one does that has lost its lease."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from celery import signals

from workers.leases.lease import FENCED_EXIT

MARK = "RINGBACK_TEST_FIRSTBORN"


def end_once(**_: Any) -> None:
    """In each child, as Celery has just made it."""
    try:
        Path(os.environ[MARK]).touch(exist_ok=False)
    except FileExistsError:
        return
    os._exit(FENCED_EXIT)


signals.worker_process_init.connect(end_once)
