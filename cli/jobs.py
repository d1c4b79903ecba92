"""`ringback jobs`: look up calls, cancel, approve or deny one, in Postgres."""

from __future__ import annotations

from typing import Annotated

import typer

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
    name="jobs", help="Look up calls with their transitions; cancel, approve or deny one.", no_args_is_help=True
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
    from cli.output import tables
    from ringback.history import documents
    from ringback.history.pagination import JobQuery
    from ringback.statements import history as statements

    given = {"tool": tool, "state": state, "queue": queue, "approval": approval, "since": since}
    query = ask(JobQuery, {**given, "limit": limit, "after": after})
    ids = beginning("--session", session) if session is not None else None
    with reading() as read:
        if ids:
            owner = only("session", read(statements.sessions_with_counts(tenant, ids)), session)
            query = query.model_copy(update={"session": owner.id})
        page = documents.page_of_jobs(read(statements.page_of_jobs(tenant, query)), query.limit)
    if as_json:
        return print_json(page)
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
    from cli.output import tables
    from ringback import operator_view
    from ringback.statements import history as statements

    ids = beginning("ID", id)
    with reading() as read:
        row = only("job", read(statements.jobs_with_steps(tenant, ids)), id)
        (failed,) = read(statements.failure_of(row.id))
        job = operator_view.job(row, failed.failure)
    if as_json:
        return print_json(job)
    return tables.print_job(tables.console(), job, job.failure)


@app.command("cancel")
def cancel_job(
    id: Annotated[str, typer.Argument(help="The job's id, or at least its first 6 characters.")],  # noqa: A002
    tenant: OfTenant = DEFAULT,
) -> None:
    """Cancel one call.

    If no worker has begun it, it ends at once. Otherwise its worker learns of it within a second.
    """
    from ringback.jobs.states import JobState
    from ringback.statements import history as statements
    from ringback.statements.jobs import transitions

    ids = beginning("ID", id)
    with reading() as read:
        job = only("job", read(statements.jobs_with_steps(tenant, ids)), id)
    with writing() as write:
        cancelled = write(transitions.cancel(job.id, tenant))
    if not cancelled:
        refuse(f"The job {job.id} is over already: see `ringback jobs show {id}`.")
    over = cancelled[0].state == JobState.CANCELLED
    typer.echo(f"The job {job.id} is {'cancelled' if over else 'running; its worker is told'}.")


@app.command("approve")
def approve_job(
    id: Annotated[str, typer.Argument(help="The job's id, or at least its first 6 characters.")],  # noqa: A002
    tenant: OfTenant = DEFAULT,
) -> None:
    """Approve a call that waits for approval; a worker begins it within a second."""
    _decide(id, tenant, approved=True)


@app.command("deny")
def deny_job(
    id: Annotated[str, typer.Argument(help="The job's id, or at least its first 6 characters.")],  # noqa: A002
    tenant: OfTenant = DEFAULT,
) -> None:
    """Deny a call that waits for approval; it ends, and the model is told."""
    _decide(id, tenant, approved=False)


def _decide(prefix: str, tenant: str, *, approved: bool) -> None:
    from ringback.jobs.deciding import why_undecidable
    from ringback.statements import history as statements
    from ringback.statements.jobs import approvals

    ids = beginning("ID", prefix)
    with reading() as read:
        job = only("job", read(statements.jobs_with_steps(tenant, ids)), prefix)
    with writing() as write:
        decided = write(approvals.decide(job.id, tenant, approved))
    if not decided:
        refuse(f"{why_undecidable(job.state, job.approval)} See `ringback jobs show {prefix}`.")
    typer.echo(f"The job {job.id} is {'approved' if approved else 'denied'}.")
