"""`ringback users`: sign users out and erase them, in Postgres."""

from __future__ import annotations

from collections import Counter
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated

import typer

from cli.operations.acting import Why, operator
from cli.output.history_queries import AsJson, print_json, refuse, writing
from cli.tokens import Tenant, named

if TYPE_CHECKING:
    from ringback.statements.operators.audit import Operator

app = typer.Typer(name="users", help="Sign a user out, or erase a user.", no_args_is_help=True)

WAIT_SECONDS = 30.0
"""How long the gateways that hold the user's sessions may take to end them; each checks once a second."""
AGAIN_SECONDS = 0.25

User = Annotated[str, typer.Argument(help="The user's name, as it stands in the history.")]


@app.command("sign-out")
def sign_out(user: User, tenant: Tenant = "default", reason: Why = None, as_json: AsJson = False) -> None:
    """Sign a user out everywhere.

    Client secrets and identity tokens that were issued until now become void. The user's sessions end within about a
    second, and their calls are cancelled. An API key with the user's name stays valid: see `ringback token revoke`.
    """
    from cli.end_sessions import end, how_many
    from ringback.statements import access, session_end
    from ringback.statements.identity import credentials

    who, owner = named("USER", user), named("--tenant", tenant)
    with writing() as write:
        (row,) = write(access.sign_out(operator(owner, reason), who))
        secrets = len(write(credentials.revoke_secrets(owner, who)))
        over = end(write, session_end.sessions_of_signed_out(who, owner), session_end.REVOKED)
        keys = len(write(credentials.keys_of(owner, who)))
    if as_json:
        told = {"object": "sign_out", "user": who, "before": row.before, "secrets": secrets, "keys": keys}
        return print_json({**told, **over._asdict()})
    void = "1 client secret is" if secrets == 1 else f"{secrets} client secrets are"
    typer.echo(f"{who} is signed out: {how_many(over)}, {void} void.")
    if keys:
        typer.echo(f"{keys} API {'key' if keys == 1 else 'keys'} of that name: see `ringback token list`.", err=True)
    return None


@app.command("erase")
def erase_user(
    user: User,
    tenant: Tenant = "default",
    reason: Annotated[
        str | None, typer.Option(help="Why, for the audit log, which keeps it: name no user.", metavar="TEXT")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a user's data from every table.

    The user's sessions end and are deleted, with their messages and calls, as are the user's keys and client secrets.
    Their usage stays in the daily sums, under no name.
    """
    who, owner = named("USER", user), named("--tenant", tenant)
    if not yes:
        typer.confirm(f"Erase {who} of the tenant {owner}? It cannot be undone", abort=True, err=True)
    erased, left = _erase(operator(owner, reason), who)
    if as_json:
        print_json({"object": "user.erased", "user": who, **erased, "is_complete": not left})
    else:
        gone = erased["sessions"]
        typer.echo(f"{who} is erased: {gone} {'session' if gone == 1 else 'sessions'}, and all that was in them.")
    if left:
        refuse(f"{left} more have still to end; the gateways erase them then. Run this again to check.", 1)


def _erase(who: Operator, user: str) -> tuple[dict[str, int], int]:
    """Erase the user; wait for sessions that have still to end. Return the deleted rows by kind, and sessions left."""
    from cli.operations.acting import progress
    from ringback.statements import access, erasure, session_end

    tenant = who.tenant
    with writing() as write, progress(f"erasing {user}", None) as done:
        give_up = monotonic() + WAIT_SECONDS
        theirs = write(erasure.count_marked(tenant, user))[0].number
        changed = Counter(row.kind for row in write(access.erase(who, user)))
        theirs += changed["sessions"]
        while True:
            while marked := write(erasure.mark(tenant, user)):  # again: the user may have connected meanwhile
                theirs += len(marked)
            write(session_end.cancel_calls(session_end.sessions_of_user(user, tenant)))
            deleted = write(erasure.delete_sessions(tenant, user))
            for kind, statement in zip(erasure.FORGOTTEN, erasure.forget_user(tenant, user), strict=True):
                changed[kind] += len(write(statement))
            left = write(erasure.count_left(tenant, user))[0].number
            if not deleted and (not left or monotonic() > give_up):
                break
            done(len(deleted))
            sleep(0 if deleted else AGAIN_SECONDS)
    gone = max(0, theirs - left)  # a gateway may have deleted some of them
    if not (gone or changed.total() or left):
        refuse(f"The tenant {tenant!r} has no user {user!r}.")
    return {"sessions": gone, "secrets": changed["secrets"], "keys": changed["keys"]}, left
