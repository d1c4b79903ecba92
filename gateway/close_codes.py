"""Close codes of a session (4000–4999 are for applications, RFC 6455), and its reasons for the history."""

from __future__ import annotations

NORMAL = 1000
NO_STATUS = 1005
"""A close frame without a code: `socket.close()` in a browser."""
LOST = 1006
"""No close frame came: the network, or the client's process, is gone."""
MESSAGE_TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
"""The server closes all sockets with this code when it is told to stop: the client has not gone."""
TRY_AGAIN_LATER = 1013
TOO_SLOW = 4008
"""The client stopped reading; if it begins again, this is what it reads."""
SUPERSEDED = 4409
"""Another connection, or another gateway, has the session now."""
DRAINING = 4012
"""This gateway ends; the session goes on elsewhere."""
RATE_LIMITED = 4029
"""The client sent too much, too fast, for too long."""
REVOKED = 4401
"""The client's credential was revoked, or an operator has ended the session."""
NOTHING_LEFT = 4402
"""The budget is used up."""
FORBIDDEN = 4403
"""The client sent too many frames that it may not send."""
OVERSTAYED = 4408
"""Neither side has spoken for too long, or the session has lasted as long as it may."""

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
    "call_over": NORMAL,
    "call_not_joined": INTERNAL_ERROR,
    "guarded": FORBIDDEN,
    "call_ended": NORMAL,
    "call_transferred": NORMAL,
}
"""Ends that the server decides, each with its close code: the client cannot resume after them."""

FINAL = frozenset(
    {"client_closed_1000", "client_closed_1005", "client_not_there", "upstream_refused", *ENDED}
    | {"caller_hung_up", "stream_broken"}
)
"""Ends after which a client cannot resume. A client that went before the upgrade has no token."""

PERMANENT = frozenset(set(range(400, 500)) - {408, 425, 429})
"""HTTP statuses of a wrong key, model or URL: it stays wrong. A server that is busy or away may come back."""

HANDED_OVER = frozenset({"gateway_draining", "gateway_stopped", "database_unavailable"})
"""Ends in this process alone: a live call goes on, and another gateway takes it."""
NOT_HUNG_UP = frozenset({"call_transferred", "session_superseded"})
"""Ends after which there is no call to hang up: it is with others. `call_over` is none of them: the Realtime API says
404 of a call that has not begun, too, and a call that is over is hung up without harm."""

NO_AGENT = "agent_gone"
"""Reason for the history of a call that was to be taken over when its agent's file was gone."""
STILL_LIVE = "call_not_hung_up"
"""Reason for the history of a call that had to end, and that the Realtime API did not hang up."""

# Close reasons that a client is told in words; every other end is caused by the client.
SENTENCES = {
    "upstream_unavailable": "The Realtime API cannot be reached. Try again in a moment.",
    "upstream_refused": "The Realtime API refused the session. The server's log says why.",
    "upstream_silent": "The Realtime API took the connection and then did not answer. Try again in a moment.",
    "upstream_closed": "The Realtime API closed the session. Connect again.",
    "session_expired": "The session has reached its longest duration. Connect again.",
    "upstream_hung": "The Realtime API did not answer any more. Connect again.",
    "rotated": "The session could not be moved to a new connection in time. Connect again.",
    "session_superseded": "The session is held by another connection now, or was taken for lost.",
    "internal_error": "The session has failed here. Connect again.",
    "revoked": "Your credential is not valid any more. Sign in again.",
    "ended_by_operator": "The session was ended by an operator.",
    "erased": "The session was ended, and what was said in it is erased.",
    "too_many_refusals": "Too many frames were refused. Each error said why; see the client protocol.",
    "too_fast": "Too much was sent, too fast, for too long. Send audio as it is spoken.",
    "idle": "Neither side has spoken for a long time. Connect again.",
    "too_long": "The session has lasted as long as it may. Connect again.",
    "call_over": "The call is over.",
    "call_not_joined": "The Realtime API did not let the server join the call.",
    "guarded": "The page did what it may not do on a call, and the call was hung up.",
    "database_unavailable": "The session cannot be recorded right now. Try again in a moment.",
}
