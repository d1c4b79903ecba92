"""Who acts on a command line, and acts on the calls that match a filter: counted, confirmed, done in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output.history_queries import ask, beginning, only, reading, refuse, writing

if TYPE_CHECKING:
    from uuid import UUID

    from ringback.history.pagination import JobQuery
    from ringback.jobs.states import JobState
    from ringback.postgres.statement import Runnable
    from ringback.statements.operators.audit import Operator

MOST = 10_000
"""Calls of one command: a larger number is more often a slip than a wish."""
AT_ONCE = 200
"""Calls of one statement, as of one page: each part is an act in the audit log."""

Why = Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.", metavar="TEXT")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


def operator(tenant: str, reason: str | None) -> Operator:
    """Return the user of this command line, as the audit log names them."""
    import getpass
    import socket

    from pydantic import TypeAdapter, ValidationError

    from ringback.history.operators import MAX_REASON, Reason
    from ringback.statements.operators.audit import Operator

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    if reason is not None:
        try:
            TypeAdapter(Reason).validate_python(reason)
        except ValidationError:
            refuse(f"--reason must be one line of at most {MAX_REASON} characters, not {reason[:40]!r}.")
    return Operator(tenant, user, f"cli:{user}@{socket.gethostname()}", reason)


def found(tenant: str, query: JobQuery, states: Sequence[JobState], *, reruns: bool) -> list[UUID]:
    """Return the ids of all calls in these states that match; too many end the command."""
    from ringback.history.pagination import cut
    from ringback.statements import history as statements

    wanted = tuple(state for state in states if not query.state or state in query.state)
    ids: list[UUID] = []
    after: str | None = None
    with reading() as read:
        while wanted:
            page = query.model_copy(update={"state": wanted, "limit": AT_ONCE, "after": after})
            shown, after = cut(read(statements.page_of_jobs(tenant, page)), AT_ONCE)
            ids += [row.id for row in shown if reruns or row.rerun_of is None]
            if len(ids) > MOST:
                refuse(f"More than {MOST:,} calls match: narrow it down, with --since for one.")
            if after is None:
                break
    return ids


def filters(tenant: str, session: str | None, given: dict[str, Any]) -> JobQuery:
    """Return the query of the filters that were given; none ends the command."""
    from ringback.history.pagination import JobQuery

    query = of_session(tenant, session, ask(JobQuery, given))
    if not query.model_dump(exclude_defaults=True):
        refuse("Name a job by its id, or give at least one filter, such as --tool or --since.")
    return query


def of_session(tenant: str, prefix: str | None, query: JobQuery) -> JobQuery:
    """Return the query for the session whose id begins so; None: unchanged."""
    if prefix is None:
        return query
    from ringback.statements import history as statements

    ids = beginning("--session", prefix)
    with reading() as read:
        owner = only("session", read(statements.sessions_with_counts(tenant, ids)), prefix)
    return query.model_copy(update={"session": owner.id})


def in_parts(ids: Sequence[UUID], act: Callable[[Sequence[UUID]], Runnable], what: str) -> list[Any]:
    """Act on all of these calls, a part at a time; return the rows."""
    rows: list[Any] = []
    with writing() as write, progress(what, len(ids)) as done:
        for start in range(0, len(ids), AT_ONCE):
            part = ids[start : start + AT_ONCE]
            rows += write(act(part))
            done(len(part))
    return rows


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, if that is a terminal and there is more than one part."""
    import sys

    if not sys.stderr.isatty() or (total is not None and total <= AT_ONCE):
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda number: bar.advance(task, number)


def calls(number: int) -> str:
    """Return the number in words."""
    return "1 call" if number == 1 else f"{number:,} calls"
