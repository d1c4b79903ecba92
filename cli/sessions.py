"""`ringback sessions`: look up conversations and end one, in Postgres."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.operations.acting import Why, operator
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

app = typer.Typer(name="sessions", help="Look up conversations, and end one.", no_args_is_help=True)


@app.command("list")
def list_sessions(
    state: Annotated[list[str] | None, typer.Option(help="In this state; repeat it for more.", metavar="STATE")] = None,
    agent: Annotated[str | None, typer.Option(help="With this agent.", metavar="NAME")] = None,
    since: Since = None,
    limit: Limit = "50",
    after: After = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List conversations, newest first."""
    from ringback.history import documents as history
    from ringback.history.pagination import SessionQuery
    from ringback.statements import history as statements

    given = {"state": state, "agent": agent, "since": since, "limit": limit, "after": after}
    query = ask(SessionQuery, given)
    with reading() as read:
        page = history.page_of_sessions(read(statements.page_of_sessions(tenant, query)), query.limit)
    if as_json:
        return print_json(page)
    from cli.output import tables

    return show_page(page, "session", tables.print_sessions)


@app.command("show")
def show_session(
    id: Annotated[str, typer.Argument(help="The session's id, or at least its first 6 characters.")],  # noqa: A002
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show one conversation: its transcript, with calls and results, and its newest calls.

    The transcript is for operators: no API shows it.
    """
    from cli.output import tables
    from ringback import operator_view
    from ringback.history import documents as history
    from ringback.history.pagination import JobQuery
    from ringback.statements import history as statements

    ids = beginning("ID", id)
    with reading() as read:
        row = only("session", read(statements.sessions_with_counts(tenant, ids)), id)
        query = JobQuery(session=row.id)
        page = history.page_of_jobs(read(statements.page_of_jobs(tenant, query)), query.limit)
        said, called = read(statements.messages_of(row.id)), read(statements.calls_of(row.id))
    session = operator_view.session(row, page, said, called)
    if as_json:
        return print_json(session)
    return tables.print_session(tables.console(), session)


@app.command("timeline")
def show_timeline(
    id: Annotated[str, typer.Argument(help="The session's id, or at least its first 6 characters.")],  # noqa: A002
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show when the user and the model spoke in one conversation, and when its newest calls were heard."""
    from cli.output import tables
    from ringback.history import documents
    from ringback.history.pagination import MAX_LIMIT, JobQuery
    from ringback.statements import history as statements

    ids = beginning("ID", id)
    with reading() as read:
        row = only("session", read(statements.sessions_with_counts(tenant, ids)), id)
        query = JobQuery(session=row.id, limit=MAX_LIMIT)
        page = documents.page_of_jobs(read(statements.page_of_jobs(tenant, query)), query.limit)
        timeline = documents.session_timeline(row, read(statements.moments_of(tenant, row.id)), page)
    if as_json:
        return print_json(timeline)
    return tables.print_timeline(tables.console(), timeline)


@app.command("recording")
def save_recording(
    id: Annotated[str, typer.Argument(help="The session's id, or at least its first 6 characters.")],  # noqa: A002
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", metavar="FILE.wav")],
    reason: Why = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Save both voices of one conversation as a WAV file: left the caller, right the model.

    The audit log says who did. There is a recording only if the agent's file says `recording = true`.
    """
    from ringback.recordings import wav
    from ringback.statements import history as statements
    from ringback.statements import recordings

    ids = beginning("ID", id)
    with reading() as read:
        session = only("session", read(statements.sessions_with_counts(tenant, ids)), id)
        (whole,) = read(recordings.extent(tenant, session.id))
    if not whole.rate:
        refuse(f"The session {session.id} has no recording: its agent has none made, or it was deleted.")
    sound = wav.Sound(whole.rate, whole.ms)
    try:
        with writing() as write, output.open("wb") as file:
            write(recordings.note_listener(operator(tenant, reason), session.id))
            file.write(wav.header(sound))
            for block in wav.blocks(sound, 0, sound.size):
                pieces = write(recordings.pieces_between(tenant, session.id, *block.times(sound.rate)))
                file.write(wav.made(sound, block, pieces))
    except OSError as problem:
        refuse(f"{output} cannot be written: {problem.strerror}")
    if as_json:
        said = {"object": "session.recording", "id": session.id, "file": str(output), "seconds": sound.ms / 1_000}
        return print_json(said)
    return typer.echo(f"{output}: {sound.ms / 1_000:.1f} s, left the caller, right the model.")


@app.command("end")
def end_session(
    id: Annotated[str, typer.Argument(help="The session's id, or at least its first 6 characters.")],  # noqa: A002
    reason: Why = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """End one conversation.

    Its gateway closes the connection within about a second, and its calls are cancelled. Its client cannot resume it.
    """
    from cli.end_sessions import EndedCounts, how_many
    from ringback.statements import history as statements
    from ringback.statements import session_end
    from ringback.statements.operators import acts

    ids = beginning("ID", id)
    with reading() as read:
        session = only("session", read(statements.sessions_with_counts(tenant, ids)), id)
    with writing() as write:
        ended = write(acts.end_session(operator(tenant, reason), session.id))
        over = EndedCounts(
            len(ended), len(write(session_end.cancel_calls(session_end.one_session(session.id, tenant))))
        )
    if not over.sessions:
        refuse(f"The session {session.id} is over already: see `ringback sessions show {id}`.")
    if as_json:
        return print_json({"object": "session.end", "id": session.id, **over._asdict()})
    return typer.echo(f"The session {session.id}: {how_many(over)}.")
