"""Records every frame, one JSON object a line."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any


class Recorder:
    """Writes ``{"ms", "connection", "direction", ...}`` lines; ``ms`` is monotonic, from the recorder's start.

    ``direction`` is ``in`` or ``out`` with the ``event``, or ``open``, ``close``, ``refused`` with ``detail``. An
    HTTP request has a ``connection`` of its own, with ``request`` and ``answer``.
    Without a path it writes no lines.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: IO[str] | None = path.open("a", encoding="utf-8") if path else None
        self._start = time.monotonic()

    def event(self, connection: int, direction: str, event: Any) -> None:
        """Record an event that came in or went out."""
        self._write({"connection": connection, "direction": direction, "event": event})

    def note(self, connection: int, direction: str, detail: Any) -> None:
        """Record the opening, refusal or end of a connection."""
        self._write({"connection": connection, "direction": direction, "detail": detail})

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is not None:
            milliseconds = round((time.monotonic() - self._start) * 1000, 3)
            self._file.write(json.dumps({"ms": milliseconds, **entry}) + "\n")
            self._file.flush()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
