"""Writes the pieces of a recording into their rows, behind the talk and never in its way.

What gathers in two seconds is one statement. While Postgres is away pieces wait in the recording, within its bound;
what has no room there is lost, and a row says so. A gateway that is killed loses what it had not written: three seconds
at most, of which one is the model's audio that a truncate might still have cut.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from uuid import UUID

import psycopg

from gateway.retry import until_done
from gateway.session.recording.placing import Recording
from gateway.storage.database import Store
from ringback.statements import recordings
from ringback.telemetry import metrics

log = logging.getLogger(__name__)

GATHER_SECONDS = 2.0
"""Between two statements of one session: each costs half a millisecond of CPU, however much it writes."""
AGAIN_SECONDS = 0.5
"""After a failed attempt: a Postgres that restarts is back within seconds."""
AT_ONCE = 8
"""Pieces of one statement, two megabytes: after an outage what has gathered is written in steps."""


class RecordingWriter:
    """Writer of one session's recording.

    Args:
        epoch: tells in which epoch the session is now.
    """

    def __init__(
        self,
        store: Store,
        session_id: UUID,
        recording: Recording,
        epoch: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._session_id = session_id
        self._recording = recording
        self._epoch = epoch
        self._clock = clock
        self._lost_seconds = 0.0

    async def keep_voices(self) -> None:
        """Write what is ready every two seconds, until cancelled."""
        while True:
            await asyncio.sleep(GATHER_SECONDS)
            await until_done(self.flush, AGAIN_SECONDS)

    async def flush(self, *, leaving: bool = False) -> bool:
        """Write all that is ready. Return False if it cannot be written now."""
        try:
            while pieces := self._recording.batch(self._epoch(), self._clock(), leaving=leaving)[:AT_ONCE]:
                if not await self._store.rows(recordings.save(self._session_id, pieces)):
                    log.info("recording not kept: session %s; it is erased, or deleted", self._session_id)
                self._recording.written(len(pieces))
        except psycopg.DataError:
            log.exception("recording given up: session %s; Postgres refuses these pieces", self._session_id)
            self._recording.written(len(pieces))
        except (psycopg.Error, OSError) as problem:
            log.warning(
                "recording not written: session %s (%s); trying again in %g s",
                *(self._session_id, type(problem).__name__, AGAIN_SECONDS),
            )
            return False
        finally:
            self._tell_what_is_lost()
        return True

    def _tell_what_is_lost(self) -> None:
        lost = self._recording.lost_seconds
        more, self._lost_seconds = lost - self._lost_seconds, lost
        if more:
            metrics.RECORDING_LOST.inc(by=more)
            log.warning("recording incomplete: session %s, %.1f s; its rows say so", self._session_id, more)
