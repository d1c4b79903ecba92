"""`ringback token`: API keys for backends, in Postgres, and tokens for the settings."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.operations.acting import Why, operator
from cli.output.history_queries import AsJson, beginning, listing, only, print_json, reading, refuse, writing
from ringback.errors import ConfigurationError

app = typer.Typer(
    name="token", help="Make, list and revoke API keys; make tokens for the settings.", no_args_is_help=True
)

MAX_USER = 200
"""Characters of a user's name, as over HTTP."""
DAY = 86_400.0
MAX_DAYS = 3_650.0
"""Ten years; without --days a key is valid until it is revoked."""
Tenant = Annotated[str, typer.Option(help="The user's tenant.", metavar="NAME")]


@app.command("create")
def create_token(
    user: Annotated[str, typer.Option(help="The user of the key; the name stands in the history.", metavar="NAME")],
    tenant: Tenant = "default",
    scopes: Annotated[
        str, typer.Option(help="The scopes, with commas; see docs/how-to/give-a-client-a-token.md.")
    ] = "realtime",
    days: Annotated[
        float | None, typer.Option(help="For how many days it is valid; by default until it is revoked.")
    ] = None,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key for a backend.

    Prints the key once, on standard output; Postgres keeps its hash only.
    """
    from uuid import uuid4

    from gateway.auth.authenticator import SCOPES
    from gateway.auth.claims import PHONE_USER, RESERVED
    from gateway.auth.tokens import Kind, digest, new
    from ringback.statements import access

    granted = _scopes(scopes)
    name, owner = named("--user", user), named("--tenant", tenant)
    if name.startswith(PHONE_USER):
        refuse(f"--user: {RESERVED}.")
    if days is not None and not 0 < days <= MAX_DAYS:
        refuse(f"--days must be above 0, and at most {MAX_DAYS:g}.")
    key = new(Kind.KEY)
    statement = access.create_key(
        operator(owner, reason),
        uuid4(),
        digest(key),
        user=name,
        scopes=granted,
        seconds_valid=None if days is None else days * DAY,
    )
    with writing() as write:
        (row,) = write(statement)
    if as_json:
        print_json({"object": "key", **row._asdict(), "value": key})
    else:
        typer.echo(key)
        typer.echo(f"The key {row.id} of {name} may: {', '.join(sorted(granted))}. It is not shown again.", err=True)
    if words := sorted(granted.difference(SCOPES)):
        typer.echo(f"The gateway has no scope {', '.join(words)}: it is for tools that require it.", err=True)


@app.command("list")
def list_tokens(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant; by default of all.", metavar="NAME")] = None,
    as_json: AsJson = False,
) -> None:
    """List API keys, newest first, without the keys themselves."""
    from ringback.statements.identity import credentials as access

    with reading() as read:
        rows = read(access.keys(tenant))
    if as_json:
        return print_json(listing([row._asdict() for row in rows]))
    return _print(rows)


@app.command("revoke")
def revoke_token(
    id: Annotated[str, typer.Argument(help="The key's id, or at least its first 6 characters.")],  # noqa: A002
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key.

    The client secrets that were made with it become void. The sessions that began with either end within about a
    second, and their calls are cancelled.
    """
    from cli.end_sessions import end, how_many
    from ringback.history.pagination import IdRange
    from ringback.statements import access, session_end
    from ringback.statements.identity import credentials

    ids = beginning("ID", id)
    with reading() as read:
        key = only("key", read(credentials.keys_in(ids)), id)
    with writing() as write:
        write(access.revoke_key(operator(key.tenant, reason), key.id))
        (revoked,) = write(credentials.keys_in(IdRange.only(key.id)))
        over = end(write, session_end.sessions_of_key(key.id), session_end.REVOKED)
    if as_json:
        return print_json({"object": "key", **revoked._asdict(), **over._asdict()})
    return typer.echo(f"The key {key.id} is revoked; {how_many(over)}.")


@app.command("static")
def static_token(
    user: Annotated[str, typer.Argument(help="The user's name, which stands in the history.")],
    trusted: Annotated[bool, typer.Option("--trusted", help="For your backend (docs/clients.md).")] = False,
    transcripts: Annotated[bool, typer.Option("--transcripts", help="It reads in the console what was said.")] = False,
    recordings: Annotated[bool, typer.Option("--recordings", help="It listens to recorded voices.")] = False,
) -> None:
    """Make a token for the settings, without a database. Put the output into RINGBACK_TOKENS."""
    if not user or set(user) & set(":, "):
        raise ConfigurationError(f"USER must hold no colon, comma or space, and not be empty, unlike {user!r}")
    given = {"trusted": trusted, "transcripts": transcripts, "recordings": recordings}
    marks = [mark for mark, is_given in given.items() if is_given]
    typer.echo(":".join([user, f"rb_{secrets.token_urlsafe(24)}", *marks]))


def named(option: str, name: str) -> str:
    """Return a user's or a tenant's name; an invalid one ends the command."""
    if not name or len(name) > MAX_USER or not name.isprintable():
        refuse(f"{option} must be 1 to {MAX_USER} printable characters.")
    return name


def _scopes(text: str) -> frozenset[str]:
    from gateway.auth.authenticator import SCOPES
    from ringback.tools.declaration import SCOPE, SCOPE_RULE

    given = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not given:
        refuse(f"--scopes names no scope: give one or more of {', '.join(SCOPES)}, or scopes that tools require.")
    wrong = sorted(scope for scope in given if not SCOPE.fullmatch(scope))
    if wrong:
        refuse(f"--scopes {wrong[0]!r}: {SCOPE_RULE}")
    return given


def _print(rows: Any) -> None:
    from rich.text import Text

    from cli.output import tables

    if not rows:
        typer.echo("There is no key. Make one with `ringback token create`.", err=True)
        return
    now = datetime.now(UTC)
    tables.print_rows(
        tables.console(),
        [
            {
                "ID": Text(str(row.id)[: tables.SHORT_ID]),
                "TENANT": Text(tables.printable(row.tenant)),
                "USER": Text(tables.printable(row.user_id)),
                "SCOPES": Text(tables.printable(",".join(row.scopes))),
                "CREATED (UTC)": Text(f"{row.created_at:%Y-%m-%d %H:%M}", no_wrap=True),
                "STATE": Text(_state(row, now), no_wrap=True),
            }
            for row in rows
        ],
    )


def _state(row: Any, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is None:
        return "good"
    return "expired" if row.expires_at <= now else f"until {row.expires_at:%Y-%m-%d %H:%M}"
