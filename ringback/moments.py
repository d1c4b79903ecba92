"""Moments of a talk: what the caller and the model did, and when, so that a timeline can be drawn.

Each is a row of `moments`, written behind the talk by the gateway that holds the session. Its time is that of the
event and not of the write, within the milliseconds that a message takes between gateway and Postgres. What happened
while no gateway could write (one was killed, or Postgres was away for too long) has no row: then it is unknown.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

MOMENTS_AT_MOST = 5_000
"""Rows of one session: two hours of a lively talk. What happens after that is not kept."""


class MomentKind(StrEnum):
    """What happened. `ms` and `detail` of a moment are null where no meaning is given here."""

    CLIENT_CAME = "client_came"
    """A client was let in. `detail`: "new" or "resumed"."""
    CLIENT_LEFT = "client_left"
    """The client's connection ended. `detail`: the reason, as in `end_reason` of a session."""
    EPOCH_BEGAN = "epoch_began"
    """A conversation with the model is open. `detail`: why the one before ended; "first" where there was none."""
    EPOCH_ENDED = "epoch_ended"
    """The conversation with the model is over, and the session goes on. `detail`: the reason."""
    USER_BEGAN = "user_began"
    """The caller began to speak, as the server heard it, or by the first audio of a client that commits its turns."""
    USER_ENDED = "user_ended"
    """The caller came to an end. `detail`: "heard" by the server, "committed" by the client, or "silent" all along."""
    USER_TYPED = "user_typed"
    """The client sent a message of its user that was not spoken."""
    BARGE_IN = "barge_in"
    """The caller began to speak while the model's voice was played. `ms`: of its audio that was still to be played."""
    RESPONSE_ASKED = "response_asked"
    """A `response.create` went out. `detail`: who asked: "client", "results", "question" or "filler"."""
    RESPONSE_BEGAN = "response_began"
    """The model began a response. `detail`: who asked, as above, or "server" where it began by itself."""
    RESPONSE_SPOKE = "response_spoke"
    """The first audio or text of the response went to the client. `detail`: "audio" or "text"."""
    RESPONSE_ENDED = "response_ended"
    """The response is complete or was broken off. `ms`: of its audio; `detail`: its status, such as "cancelled"."""
    RESPONSE_PLAYED = "response_played"
    """The caller has heard what they hear of the response. `ms`: so much of its audio; null where that is unknown.
    `detail`: how that is known (`ringback.jobs.states.HeardBy`)."""
    GUARDED = "guarded"
    """The page of a call did what it may not do. `detail`: what, and what was done, such as "session: mended"."""


class Moment(Struct, frozen=True):
    """One moment. `at` is in seconds of the session's own clock.

    Args:
        epoch: in which conversation of the session it happened.
        response_id: the response that it is about.
    """

    kind: MomentKind
    at: float
    epoch: int
    response_id: str | None = None
    ms: float | None = None
    detail: str | None = None
