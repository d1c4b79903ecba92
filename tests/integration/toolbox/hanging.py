"""A worker whose Celery never ends its warm shutdown, as was seen; loaded beside the tools."""

from __future__ import annotations

import sys
from threading import Event
from typing import Any

from celery import bootsteps
from celery.worker.components import Pool


class Hang(bootsteps.StartStopStep):  # type: ignore[misc]
    """Its stop does not return."""

    requires = (Pool,)

    def stop(self, parent: Any) -> None:
        Event().wait()


sys.modules["workers.app"].app.steps["worker"].add(Hang)
