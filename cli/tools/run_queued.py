"""Makes a call like a gateway does: a session's row, a job's row, a message, a worker.

The statements are those of a gateway. While the call runs, this process holds a lease like a gateway: without one a
sweeper would end the session, and the result would not come back.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import select

from cli.output.history_queries import writing
from ringback.config.settings import Stores, load
from ringback.jobs.outcomes import Outcome, from_row
from ringback.leases.lease import RENEW_SECONDS
from ringback.redis.broker import TASK, make_app
from ringback.statements import processes
from ringback.statements.jobs import admission, transitions
from ringback.statements.sessions import lifecycle
from ringback.tables import DEFAULT_TENANT
from ringback.tables import jobs as jobs_table
from ringback.tools.spec import ToolSpec

if TYPE_CHECKING:
    from cli.output.history_queries import Read

LOOK_SECONDS = 0.05
"""Between two queries of the job's row: a user waits, and a query takes a millisecond."""
LATE_SECONDS = 10.0
"""How long a sweeper may take to notice that the deadline has passed; then the command gives up."""
END_REASON = "by_hand"
COLUMNS = ("id", "state", "result", "sealed_result", "error", "cancel_reason", "progress", "finished_at")

log = logging.getLogger(__name__)


def run_there(
    tool: ToolSpec, arguments: dict[str, Any], *, user: str, claims: dict[str, Any], note: Callable[[str], None]
) -> tuple[UUID, Outcome | None]:
    """Have a worker call the tool. Return the job's id and its outcome; None if the command was interrupted.

    Args:
        note: called with each progress note that the tool reports.
    """
    stores = load(Stores)
    row_privacy = stores.row_privacy
    seconds = admission.time_for(tool.timeout, tool.retries + 1)
    with _asked_to_stop() as stop, writing() as write, _session(write, user, claims) as (gateway_id, session_id):
        job_id = uuid4()
        asked = row_privacy.arguments(arguments, session_id, tool.behavior.redact)
        call = admission.NewJob(job_id, session_id, "call_by_hand", None, tool.name, asked.shown, tool)
        write(admission.admit(call, gateway_id, 1, sealed=admission.Sealed(asked.sealed)))
        _publish(stores.redis_url, job_id, tool.queue)
        row = _finished(write, gateway_id, job_id, seconds, note, stop)
        if row is not None:
            return job_id, from_row(**transitions.outcome_of(row_privacy.reveal(row, session_id)))
        write(transitions.cancel(job_id, DEFAULT_TENANT))
        return job_id, None


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """Yield an event that Ctrl-C and SIGTERM set. An exception may be lost, if it comes in a destructor."""
    stop = Event()
    before = {each: signal.signal(each, lambda *_: stop.set()) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _session(write: Read, user: str, claims: dict[str, Any]) -> Iterator[tuple[str, UUID]]:
    """Open a session for this process; write its end and its late results, unless the database failed."""
    gateway_id = f"by-hand-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    session_id, is_cut = uuid4(), False
    write(processes.register(gateway_id, "gateway", socket.gethostname(), os.getpid()))
    try:
        opened = lifecycle.open_session(
            session_id, user_id=user, agent="none", model="none", gateway_id=gateway_id, claims=claims
        )
        write(opened)
        yield gateway_id, session_id
    except psycopg.Error:
        is_cut = True
        raise
    finally:
        if not is_cut:  # otherwise a sweeper ends the session, when the lease of this process has expired
            write(lifecycle.end_session(session_id, gateway_id, 1, END_REASON))
            write(lifecycle.keep_for_history(session_id))
            write(processes.retire(gateway_id))


def _publish(redis_url: str, job_id: UUID, queue: str) -> None:
    celery = make_app(redis_url)
    try:
        celery.send_task(TASK, args=[str(job_id)], queue=queue, ignore_result=True, retry=False)
    except Exception as problem:  # kombu and redis raise a family of errors with no common parent but this
        log.warning("publishing job %s failed (%s); a sweeper publishes it again", job_id, type(problem).__name__)
    finally:
        celery.close()


def _finished(
    write: Read, gateway_id: str, job_id: UUID, seconds: float, note: Callable[[str], None], stop: Event
) -> Any:
    """Return the job's row once it is over; None if that takes too long, or `stop` is set. Renew the lease
    meanwhile."""
    look = select(*(jobs_table.c[name] for name in COLUMNS))
    give_up = monotonic() + seconds + LATE_SECONDS
    renewed, noted = monotonic(), None
    while monotonic() < give_up and not stop.is_set():
        (row,) = write(look.where(jobs_table.c.id == job_id))
        if row.progress and row.progress != noted:
            noted = row.progress
            note(noted)
        if row.finished_at is not None:
            return row
        if monotonic() - renewed > RENEW_SECONDS:
            write(processes.renew(gateway_id))
            renewed = monotonic()
        stop.wait(LOOK_SECONDS)
    return None
