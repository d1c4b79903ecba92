"""`ringback jobs cancel` and `retry`: one call, or all that match a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from cli.operations.acting import calls, found, in_parts, operator
from cli.output.history_queries import beginning, only, print_json, reading, refuse, writing

if TYPE_CHECKING:
    from uuid import UUID

    from ringback.history.pagination import JobQuery


def cancel_one(prefix: str, tenant: str, reason: str | None, *, as_json: bool) -> None:
    """Cancel one call."""
    from ringback.jobs.states import JobState
    from ringback.statements import history as statements
    from ringback.statements.operators import acts

    job = _named(prefix, tenant)
    with writing() as write:
        cancelled = write(acts.cancel(operator(tenant, reason), [job.id]))
        if not cancelled:
            refuse(f"The job {job.id} is over already: see `ringback jobs show {prefix}`.")
        if as_json:
            from ringback.history import documents
            from ringback.history.pagination import IdRange

            (row,) = write(statements.jobs_with_steps(tenant, IdRange.only(job.id)))
            return print_json(documents.job(row))
    over = cancelled[0].state == JobState.CANCELLED
    return typer.echo(f"The job {job.id} is {'cancelled' if over else 'running; its worker is told'}.")


def cancel_matching(tenant: str, query: JobQuery, reason: str | None, *, yes: bool, as_json: bool) -> None:
    """Cancel all live calls that match."""
    from ringback.history.operators import ActName
    from ringback.jobs.states import LIVE
    from ringback.statements.operators import acts

    who, ids = operator(tenant, reason), found(tenant, query, sorted(LIVE), reruns=True)
    _confirm("Cancel", ids, yes=yes)
    done = in_parts(ids, lambda part: acts.cancel(who, part, query), "cancelling")
    _print(ActName.CANCEL, [row.id for row in done], f"{calls(len(done))} cancelled; running ones end soon", as_json)


def retry_one(prefix: str, tenant: str, reason: str | None, *, is_confirmed: bool, as_json: bool) -> None:
    """Run one finished call once more."""
    from ringback.history import documents
    from ringback.history.pagination import IdRange
    from ringback.jobs.deciding import why_no_rerun
    from ringback.statements import history as statements
    from ringback.statements.operators import acts

    job = _named(prefix, tenant)
    with writing() as write:
        made = write(acts.rerun(operator(tenant, reason), [job.id], is_confirmed=is_confirmed, grace=0))
        if not made and (live := write(acts.live_rerun(tenant, job.id))):
            refuse(f"A rerun of it is not over: {live[0].id}.")
        if not made:
            (facts,) = write(acts.facts(tenant, job.id))
            why = why_no_rerun(**facts._asdict(), is_confirmed=is_confirmed) or "Its session is being erased."
            refuse(f"{why}{' Use --confirm-at-most-once.' if 'confirm that' in why else ''}")
        if as_json:
            (row,) = write(statements.jobs_with_steps(tenant, IdRange.only(made[0].id)))
            return print_json(documents.job(row))
    return typer.echo(f"The job {job.id} runs once more, as {made[0].id}; no conversation hears of it.")


def retry_matching(
    tenant: str, query: JobQuery, reason: str | None, *, is_confirmed: bool, yes: bool, as_json: bool
) -> None:
    """Run all finished calls that match once more."""
    from ringback.history.operators import ActName
    from ringback.jobs.states import TERMINAL
    from ringback.statements.operators import acts

    who, ids = operator(tenant, reason), found(tenant, query, sorted(TERMINAL), reruns=False)
    _confirm("Retry", ids, yes=yes)

    def again(part: Any) -> Any:
        return acts.rerun(who, part, query, is_confirmed=is_confirmed, grace=0)

    done = in_parts(ids, again, "retrying")
    left = len(ids) - len(done)
    said = f"{calls(len(done))} run once more; no conversation hears of them"
    if left:
        said += f". {calls(left)} left out: see `ringback jobs retry ID` for why"
    _print(ActName.RETRY, [row.id for row in done], said, as_json)


def _named(prefix: str, tenant: str) -> Any:
    from ringback.statements import history as statements

    ids = beginning("ID", prefix)
    with reading() as read:
        return only("job", read(statements.jobs_with_steps(tenant, ids)), prefix)


def _confirm(verb: str, ids: list[UUID], *, yes: bool) -> None:
    if not ids:
        refuse("No call matches that could be acted on.")
    if not yes:
        typer.confirm(f"{verb} {calls(len(ids))}?", abort=True, err=True)


def _print(act: Any, ids: list[UUID], sentence: str, as_json: bool) -> None:
    from ringback.history.operators import Acted

    if as_json:
        return print_json(Acted(act=act, ids=ids, has_more=False, next=None))
    return typer.echo(f"{sentence}.")
