"""How a session ends: close codes of ours (4000–4999 are for applications, RFC 6455), and reasons for the history."""

from __future__ import annotations

TRY_AGAIN_LATER = 1013
SUPERSEDED = 4409
"""Our close code: another connection, or another gateway, has the session now."""
DRAINING = 4012
"""Our close code: this gateway ends; the session goes on elsewhere."""
RATE_LIMITED = 4029
"""Our close code: too much, too fast, for too long."""
REVOKED = 4401
"""Our close code: what the client came in with is good no more, or somebody has ended its session."""
NOTHING_LEFT = 4402
"""Our close code: the budget is spent."""
FORBIDDEN = 4403
"""Our close code: too many frames that a client may not send."""
OVERSTAYED = 4408
"""Our close code: nobody has said anything for too long, or the session has lasted as long as it may."""

ENDED = {
    "session_superseded": SUPERSEDED,
    "revoked": REVOKED,
    "ended_by_operator": REVOKED,
    "erased": REVOKED,
    "budget_spent": NOTHING_LEFT,
    "too_many_refusals": FORBIDDEN,
    "too_fast": RATE_LIMITED,
    "idle": OVERSTAYED,
    "too_long": OVERSTAYED,
}
"""Ends that the server decides, each with its close code: there is nothing to come back to."""

FINAL = frozenset({"client_closed_1000", "client_closed_1005", "client_not_there", "upstream_refused", *ENDED})
"""Ends after which there is nothing to come back to. A client that went before the upgrade has no token to do so."""

PERMANENT = frozenset(set(range(400, 500)) - {408, 425, 429})
"""HTTP statuses of a wrong key, model or URL: it stays wrong. A server that is busy or away may come back."""

# Close reasons that a client is told about in words; every other end is its own doing.
SENTENCES = {
    "upstream_unavailable": "The Realtime API cannot be reached. Try again in a moment.",
    "upstream_refused": "The Realtime API refused the session. The server's log says why.",
    "upstream_silent": "The Realtime API took the connection and then said nothing. Try again in a moment.",
    "upstream_closed": "The Realtime API closed the session. Connect again.",
    "session_expired": "The session has reached its longest duration. Connect again.",
    "upstream_hung": "The Realtime API did not answer any more. Connect again.",
    "rotated": "The session could not be moved to a new connection in time. Connect again.",
    "session_superseded": "The session is held by another connection now, or was taken for lost.",
    "internal_error": "The session has failed here. Connect again.",
    "revoked": "What you came in with is not valid any more. Sign in again.",
    "ended_by_operator": "The session was ended by an operator.",
    "erased": "The session was ended, and what was said in it is erased.",
    "too_many_refusals": "Too many frames were refused. Each error said why; see the client protocol.",
    "too_fast": "Too much was sent, too fast, for too long. Send audio as it is spoken.",
    "idle": "Nobody has said anything for a long time. Connect again.",
    "too_long": "The session has lasted as long as it may. Connect again.",
    "database_unavailable": "The session cannot be recorded right now. Try again in a moment.",
}
