"""A user goes, straight from Postgres: see `ringback.statements.erasure`."""

from __future__ import annotations

from time import monotonic, sleep

import typer

from cli.output.history_queries import refuse, writing

WAIT_SECONDS = 30.0
"""How long the gateways that hold the user's sessions may take to end them; each looks once a second."""
AGAIN_SECONDS = 0.25


def erase(tenant: str, user: str) -> None:
    """Erase the user, and say what went; wait for sessions that have still to end."""
    from ringback.statements import erasure
    from ringback.statements.sessions import session_end

    named = 0
    with writing() as write:
        give_up = monotonic() + WAIT_SECONDS
        theirs = write(erasure.marked(tenant, user))[0].number
        while True:
            while marked := write(erasure.mark(tenant, user)):  # again: they may have come back meanwhile
                theirs += len(marked)
            write(session_end.cancel_calls(session_end.sessions_of_user(user, tenant)))
            deleted = write(erasure.delete_sessions(tenant, user))
            named += sum(len(write(statement)) for statement in erasure.forget(tenant, user))
            left = write(erasure.left(tenant, user))[0].number
            if not deleted and (not left or monotonic() > give_up):
                break
            sleep(0 if deleted else AGAIN_SECONDS)
    gone = max(0, theirs - left)  # a gateway may have deleted some of them
    if not (gone or named or left):
        refuse(f"Nobody of the name {user!r} is known in the tenant {tenant!r}.")
    typer.echo(f"{user} is erased: {gone} {'session' if gone == 1 else 'sessions'}, and all that was in them.")
    if left:
        refuse(f"{left} more have still to end; the gateways erase them then. Run this again to see.", 1)
