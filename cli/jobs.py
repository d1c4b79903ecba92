"""`ringback jobs`: look up and follow calls; cancel, retry, approve or deny them, in Postgres."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.operations.acting import Why, Yes, filters, of_session, operator
from cli.output.history_queries import (
    DEFAULT,
    After,
    AsJson,
    Limit,
    OfTenant,
    Since,
    ask,
    beginning,
    only,
    print_json,
    reading,
    refuse,
    show_page,
    writing,
)

app = typer.Typer(
    name="jobs", help="Look up and follow calls; cancel, retry, approve or deny them.", no_args_is_help=True
)


@app.command("list")
def list_jobs(
    session: Annotated[str | None, typer.Option(help="Of the session whose id begins so.", metavar="ID")] = None,
    tool: Annotated[str | None, typer.Option(help="Of this tool.", metavar="NAME")] = None,
    state: Annotated[list[str] | None, typer.Option(help="In this state; repeat it for more.", metavar="STATE")] = None,
    queue: Annotated[str | None, typer.Option(help="On this queue.", metavar="NAME")] = None,
    approval: Annotated[
        str | None, typer.Option(help="Whose approval is requested, granted or denied.", metavar="WHICH")
    ] = None,
    since: Since = None,
    limit: Limit = "50",
    after: After = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List calls, newest first."""
    from ringback.history import documents
    from ringback.history.pagination import JobQuery
    from ringback.statements import history as statements

    given = {"tool": tool, "state": state, "queue": queue, "approval": approval, "since": since}
    query = of_session(tenant, session, ask(JobQuery, {**given, "limit": limit, "after": after}))
    with reading() as read:
        page = documents.page_of_jobs(read(statements.page_of_jobs(tenant, query)), query.limit)
    if as_json:
        return print_json(page)
    from cli.output import tables

    return show_page(page, "job", tables.print_jobs)


@app.command("show")
def show_job(
    id: Annotated[str, typer.Argument(help="The job's id, or at least its first 6 characters.")],  # noqa: A002
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show one call with all of its transitions.

    It also shows the arguments, the result, and why the tool failed, which no API shows.
    """
    from ringback import operator_view
    from ringback.statements import history as statements

    ids = beginning("ID", id)
    with reading() as read:
        row = only("job", read(statements.jobs_with_steps(tenant, ids)), id)
        (failed,) = read(statements.failure_of(row.id))
        job = operator_view.job(row, failed.failure)
    if as_json:
        return print_json(job)
    from cli.output import tables

    return tables.print_job(tables.console(), job, job.failure)


Id = Annotated[
    str | None, typer.Argument(help="The job's id, or at least its first 6 characters; none: all that match.")
]
OfSession = Annotated[str | None, typer.Option("--session", help="Of the session whose id begins so.", metavar="ID")]
OfTool = Annotated[str | None, typer.Option("--tool", help="Of this tool.", metavar="NAME")]
InState = Annotated[
    list[str] | None, typer.Option("--state", help="In this state; repeat it for more.", metavar="STATE")
]
OnQueue = Annotated[str | None, typer.Option("--queue", help="On this queue.", metavar="NAME")]
Until = Annotated[str | None, typer.Option(help="Made before a time, or so long ago.", metavar="WHEN")]


@app.command("cancel")
def cancel_job(
    id: Id = None,  # noqa: A002 - the API's name of it
    session: OfSession = None,
    tool: OfTool = None,
    state: InState = None,
    queue: OnQueue = None,
    since: Since = None,
    until: Until = None,
    reason: Why = None,
    yes: Yes = False,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Cancel one call, or all that match.

    If no worker has begun it, it ends at once. Otherwise its worker learns of it within a second.
    """
    from cli.operations import job_acts

    given = _given(id, session, tool=tool, state=state or None, queue=queue, since=since, until=until)
    if id is not None:
        return job_acts.cancel_one(id, tenant, reason, as_json=as_json)
    return job_acts.cancel_matching(tenant, filters(tenant, session, given), reason, yes=yes, as_json=as_json)


@app.command("retry")
def retry_job(
    id: Id = None,  # noqa: A002 - the API's name of it
    session: OfSession = None,
    tool: OfTool = None,
    state: InState = None,
    queue: OnQueue = None,
    since: Since = None,
    until: Until = None,
    confirm_at_most_once: Annotated[
        bool,
        typer.Option("--confirm-at-most-once", help="The effect of such a tool may happen a second time."),
    ] = False,
    reason: Why = None,
    yes: Yes = False,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Run a finished call once more, or all that match.

    It is a job of its own, with the same idempotency key. Its result stays in the history: no conversation hears of it.
    """
    from cli.operations import job_acts

    given = _given(id, session, tool=tool, state=state or None, queue=queue, since=since, until=until)
    if id is not None:
        return job_acts.retry_one(id, tenant, reason, is_confirmed=confirm_at_most_once, as_json=as_json)
    query = filters(tenant, session, given)
    return job_acts.retry_matching(tenant, query, reason, is_confirmed=confirm_at_most_once, yes=yes, as_json=as_json)


@app.command("tail")
def tail_jobs(
    session: OfSession = None,
    tool: OfTool = None,
    state: InState = None,
    queue: OnQueue = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Follow the calls live, one line for each step, until Ctrl-C. With --json, one document a line."""
    from cli.operations import tail

    given = {"tool": tool, "state": state or None, "queue": queue}
    tail.follow(tenant, session, given, as_json=as_json)


def _given(id: str | None, session: str | None, **given: Any) -> dict[str, Any]:  # noqa: A002 - as its callers have it
    """Return the filters; together with an id they end the command."""
    if id is not None and (session is not None or any(value is not None for value in given.values())):
        refuse("Name a job by its id, or give filters, not both.")
    return given


@app.command("approve")
def approve_job(
    id: Annotated[str, typer.Argument(help="The job's id, or at least its first 6 characters.")],  # noqa: A002
    reason: Why = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Approve a call that waits for approval; a worker begins it within a second."""
    _decide(id, tenant, reason, approved=True, as_json=as_json)


@app.command("deny")
def deny_job(
    id: Annotated[str, typer.Argument(help="The job's id, or at least its first 6 characters.")],  # noqa: A002
    reason: Why = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Deny a call that waits for approval; it ends, and the model is told."""
    _decide(id, tenant, reason, approved=False, as_json=as_json)


def _decide(prefix: str, tenant: str, reason: str | None, *, approved: bool, as_json: bool) -> None:
    from ringback.jobs.deciding import why_undecidable
    from ringback.statements import history as statements
    from ringback.statements.operators import acts

    ids = beginning("ID", prefix)
    with reading() as read:
        job = only("job", read(statements.jobs_with_steps(tenant, ids)), prefix)
    with writing() as write:
        decided = write(acts.decide(operator(tenant, reason), job.id, approved=approved))
    if not decided:
        refuse(f"{why_undecidable(job.state, job.approval)} See `ringback jobs show {prefix}`.")
    if as_json:
        from ringback.history import documents

        with reading() as read:
            (row,) = read(statements.jobs_with_steps(tenant, ids))
        return print_json(documents.job(row))
    return typer.echo(f"The job {job.id} is {'approved' if approved else 'denied'}.")
