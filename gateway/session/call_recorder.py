"""Writes a session's calls into their rows: at once if Postgres answers, later if it is away.

If a call waits too long, the model is answered without a row. What it is told depends on what is known. A call that was
never sent to Postgres was not run. A call whose answer was lost may be running: if it must not be repeated it waits
longer, as a running call does, and in the end its outcome is unknown (ADR 0034).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from time import monotonic
from typing import TypeVar
from uuid import UUID

import psycopg
from msgspec import structs

from gateway.conversation.actions import RecordCall
from gateway.session.context import GatewayContext, SessionState
from gateway.small_event import SmallEvent
from gateway.storage.database import may_be_written
from ringback.jobs.outcomes import failed
from ringback.jobs.states import CancelReason, Effect
from ringback.postgres.statement import Bound
from ringback.privacy.redaction import of_arguments
from ringback.privacy.row_privacy import NoKey, RowPrivacy
from ringback.statements.jobs import admission, transitions
from ringback.statements.jobs.admission import Sealed, goes_alone

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_WAITING = 64
"""Calls of one session that wait for Postgres at once; one more is answered without waiting."""
MAX_OWED = 64
"""Calls of one session that were answered without a row, and whose row is still owed; that of one more is not written.
"""
AGAIN_SECONDS = 0.25
"""Between attempts: a Postgres that comes back should find the call waiting, not the user."""
SELDOM_SECONDS, SELDOM_SHARE = 5.0, 0.1
"""The same at most, and as a share of the time that was waited, for what no answer waits for: it may be minutes of all
sessions that has gathered.
"""
UNHEARD_SECONDS = 30.0
"""How much longer a call waits that may be recorded and must not be repeated: Postgres is mostly back by then, and the
user hears what came of it instead of an unknown outcome."""
REMEMBER_SECONDS = 600.0
"""How long Postgres may be away without losing what the rows are still owed: a call that was answered without one,
and what was decided about a call."""
NOT_KEPT = "The function cannot be run here at the moment. Say so; do not call it again."


class Recorded(Enum):
    """What is known of a call's row."""

    NEW = auto()
    """It is committed."""
    NOT_NEW = auto()
    """It was there already, or the session is in another epoch, or another gateway holds it."""
    ABSENT = auto()
    """There is none: Postgres was not reached in time."""
    UNKNOWN = auto()
    """The statement was sent and its answer was lost. The call may be running."""


class CallRecorder:
    """Recorder of one session's calls. It retries in the caller's task until Postgres answers or the time is up."""

    def __init__(self, gateway: GatewayContext, session: SessionState) -> None:
        self._gateway = gateway
        self._session = session
        self._waiting = self._owed = 0
        self._on_their_way: dict[UUID, SmallEvent] = {}
        """By job, set once it is known whether the row is there."""
        self._none_waits = SmallEvent()
        self._none_waits.set()

    async def record(self, record: RecordCall, epoch: int) -> Recorded:
        """Commit the row of a call that was made in this epoch."""
        if self._waiting >= MAX_WAITING:
            return Recorded.ABSENT
        may_be_there, insert = False, self._insert(record, epoch)
        # A call that may have to wait for another row, or was tried before, holds up no call of another session.
        is_alone = goes_alone(record.job)
        self._waiting += 1
        self._none_waits.clear()
        joined = record.job.joined_to
        is_known = self._on_their_way[record.job.id] = SmallEvent()

        async def write() -> Recorded:
            nonlocal may_be_there, is_alone
            run = self._gateway.store.rows if is_alone else partial(self._gateway.admissions.rows, record.job.id)
            is_alone = True
            try:
                rows = await run(insert)
            except psycopg.DataError:
                may_be_there = False  # Postgres refuses these very values: no earlier attempt has written them either
                raise
            except (psycopg.Error, OSError) as problem:
                may_be_there = may_be_there or may_be_written(problem)
                raise
            return Recorded.NEW if rows else Recorded.NOT_NEW

        def seconds() -> float:
            longer = UNHEARD_SECONDS if may_be_there and must_not_be_repeated(record) else 0.0
            return self._gateway.settings.call_wait_seconds + longer

        try:
            if joined is not None and joined in self._on_their_way:
                await self._on_their_way[joined].wait()  # without the row that it joins, Postgres would refuse it
            known = await _retry(write, seconds)
        finally:
            is_known.set()
            del self._on_their_way[record.job.id]
            self._waiting -= 1
            if not self._waiting:
                self._none_waits.set()
        return known or (Recorded.UNKNOWN if may_be_there else Recorded.ABSENT)

    async def settled(self) -> None:
        """Wait until no call is on its way into its row: an epoch that began meanwhile would not know of it."""
        await self._none_waits.wait()

    async def settle_unrecorded(self, answered: RecordCall) -> bool:
        """Settle the row of a call that was answered without one. Return True once it is settled.

        If there is no row, write one for the history, which forbids an insert that would come late. If there is one,
        cancel the call; a call that must not be repeated only if it has not begun, as it cannot be taken back then.
        """
        if self._owed >= MAX_OWED:
            log.error("job %s is not in the history: Postgres was away for too many calls", answered.job.id)
            return False
        job_id, pending_only = answered.job.id, must_not_be_repeated(answered)
        tenant, store = self._session.principal.tenant, self._gateway.store

        async def write() -> bool:
            if not await store.rows(self._insert(answered, self._session.epoch)):
                await store.rows(transitions.cancel(job_id, tenant, CancelReason.UNHEARD, pending_only=pending_only))
            return True

        self._owed += 1
        try:
            return bool(await self.retry(write))
        finally:
            self._owed -= 1

    async def retry(self, write: Callable[[], Awaitable[T]]) -> T | None:
        """Write now, or as soon as Postgres is back. Return None if that takes too long.

        This waits longer than a call's row does: what the user has decided must not be lost meanwhile.
        """
        return await _retry(write, lambda: REMEMBER_SECONDS, SELDOM_SHARE)

    def _insert(self, record: RecordCall, epoch: int) -> Bound:
        return insert_redacted(record, self._gateway.gateway_id, epoch, self._gateway.row_privacy)


def insert_redacted(record: RecordCall, gateway_id: str, epoch: int, privacy: RowPrivacy) -> Bound:
    """Return the statement that inserts a call's row, in which what must not be shown is redacted.

    If there is no key to encrypt what is redacted, the call is not run, and its row says so.
    """
    job, fields = record.job, record.job.tool.behavior.redact if record.job.tool else ()
    try:
        asked = privacy.arguments(job.arguments, job.session_id, fields)
        outcome, ending = record.outcome, None
        if outcome is not None:
            knowing = privacy.with_secrets_of(job.arguments, fields)
            outcome, ending = knowing.outcome(outcome, job.session_id, fields)
        sealed = Sealed(asked.sealed, ending)
        return admission.admit(structs.replace(job, arguments=asked.shown), gateway_id, epoch, outcome, sealed)
    except NoKey as problem:
        log.error("job %s of tool %s is not run: %s", job.id, job.name, problem)
        shown = privacy.redaction.data(job.arguments, of_arguments(fields))
        outcome = record.outcome or failed("not_kept", NOT_KEPT)
        return admission.admit(structs.replace(job, arguments=shown), gateway_id, epoch, outcome, Sealed())


def must_not_be_repeated(record: RecordCall) -> bool:
    """Return True if a second such call would have its effect once more: a new call has a new idempotency key."""
    tool = record.job.tool
    return tool is not None and tool.effect is not Effect.PURE


async def _retry(write: Callable[[], Awaitable[T]], seconds: Callable[[], float], share: float = 0.0) -> T | None:
    """Write, with pauses that last `share` of the time so far. Return None if it takes too long, or cannot be."""
    began = monotonic()
    while True:
        try:
            return await write()
        except psycopg.DataError:
            log.exception("call not written: Postgres refuses its values, and will again")
            return None
        except (psycopg.Error, OSError) as problem:
            waited = monotonic() - began
            if waited > seconds():
                log.error("call not written in time (%s); giving up", type(problem).__name__)
                return None
        await asyncio.sleep(max(AGAIN_SECONDS, min(waited * share, SELDOM_SECONDS)))
