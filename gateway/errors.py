"""Exceptions that the gateway raises on purpose, and the body of every error that it answers.

    RingbackError
    └── GatewayError                  root; answered with HTTP 500 if it leaves a route, as a bug would be
        ├── ApiError                  refuses an HTTP request, or the upgrade to a WebSocket, in one sentence
        │   ├── BadRequest            400: a value that cannot be
        │   ├── AuthenticationError   401: no token, or one that is not valid
        │   ├── PermissionDenied      403: a valid token without the scope
        │   ├── NotFound              404: no such row or agent in the caller's tenant
        │   ├── Conflict              409: the row's state does not allow it
        │   ├── ContentTooLarge       413: a body that is too long for this route
        │   ├── UnsupportedMedia      415: a body of another type
        │   ├── UpgradeRequired       426: a WebSocket's address, asked without an upgrade
        │   ├── LimitReached          429: a quota is used up
        │   ├── BadGateway            502: the Realtime API refused what it was asked
        │   └── Unavailable           503: Postgres, or the identity provider, does not answer
        ├── SessionEnded              the session ends; carries the close code of its reason (`gateway.close_codes`)
        ├── ClientGone                the client closed, or stopped reading; close code 1000, or 4008 if it is too slow
        ├── UpstreamRefused           the Realtime API did not take the connection
        │   ├── UpstreamSilent        … or did not confirm the session
        │   └── UpstreamBusy          … or takes no session now
        ├── CallRefused               the provider did not do what was asked of a call; becomes 400, 502 or 503
        ├── AttachLost                a session whose call is another's by now; it ends, and the call goes on
        ├── CallControlFailed         a phone's carrier did not do what was asked of a call; the model is told
        ├── StreamBroken              a frame that is not one of Twilio's; its stream is closed
        ├── UpstreamClosed            the Realtime API closed the connection
        ├── MalformedEvent            a server event that is not one of the Realtime API
        ├── FrameRefused              a client's frame breaks a rule; becomes an `error` event
        ├── SignInNeeded              a page of the console, asked without a sign-in; becomes the sign-in page
        ├── LineRefused               a search line of the console that is none; becomes a sentence on its page
        ├── NoSuchKey                 a JWT names a key that the gateway has not fetched; leads to a fetch, or 401
        ├── BadSecret                 a webhook's secret that cannot sign; becomes a ConfigurationError, or a log line
        ├── Overloaded                a bounded queue is full; becomes 503
        ├── NotSent                   a statement that was not sent, as Postgres is not reached; becomes 503
        └── ImpossibleTransition      a bug: a move of the response slot that its table does not have

`ApiError` has its HTTP status, its `code` and its headers in the class. The texts of 4xx tell the client what to do.
`SessionEnded` and `ClientGone` carry a close code for each instance: a session ends for one of many reasons, and the
code of some depends on how far the session had come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ringback.errors import RingbackError

QUOTA = "insufficient_quota"
"""The one `code` that is also a `type` in OpenAI's API."""


def error_type(status: int, code: str | None = None) -> str:
    """Return the `type` of an error with this HTTP status, by OpenAI's names.

    401 and 403 have no type of their own there: an unknown key is an `invalid_request_error`.
    """
    if status >= 500:
        return "server_error"
    if status == 429:
        return QUOTA if code == QUOTA else "rate_limit_error"
    return "invalid_request_error"


def error_body(status: int, code: str | None, message: str, param: str | None = None) -> dict[str, Any]:
    """Return the body of an HTTP error, as OpenAI's SDKs read it."""
    error = {"message": message, "type": error_type(status, code), "code": code, "param": param}
    return {"error": error}


def error_event(
    event_id: str, status: int, code: str, message: str, param: str | None = None, client_event_id: str | None = None
) -> dict[str, Any]:
    """Return the `error` server event (Realtime API).

    Args:
        event_id: the event's own id.
        status: the HTTP status that the error would have; decides its `type`.
        client_event_id: the id of the client's event that it is about.
    """
    error = {**error_body(status, code, message, param)["error"], "event_id": client_event_id}
    return {"type": "error", "event_id": event_id, "error": error}


class GatewayError(RingbackError):
    """Root of the exceptions that the gateway raises on purpose."""


class ApiError(GatewayError):
    """Refuses an HTTP request, or the upgrade to a WebSocket.

    Args:
        message: one sentence for people; says what to do.
        code: the name for programs; None: the class's.
        param: the parameter that it is about.
        retry_after: seconds until the client may try again; None: the class's.
    """

    status: ClassVar[int] = 500
    more_headers: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code if code is not None else self.code
        self.param = param
        self.retry_after = retry_after if retry_after is not None else self.retry_after

    code: str = "internal_error"
    retry_after: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        return error_body(self.status, self.code, str(self), self.param)

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        wait = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return {**self.more_headers, **wait}


class BadRequest(ApiError):
    """A value that a parameter or header cannot have."""

    status = 400
    code = "invalid_value"


class AuthenticationError(ApiError):
    """No token, or one that is not valid: unknown, expired, revoked, used up or signed out."""

    status = 401
    code = "invalid_api_key"
    more_headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class PermissionDenied(ApiError):
    """A valid token that lacks the scope; or a page whose origin may not ask."""

    status = 403
    code = "insufficient_scope"


class NotFound(ApiError):
    """No row or agent of that id in the caller's tenant. Other tenants' ids get the same answer."""

    status = 404
    code = "not_found"


class Conflict(ApiError):
    """The row is in a state that does not allow what is asked."""

    status = 409
    code = "conflict"


class ContentTooLarge(ApiError):
    """A body that is longer than this route takes."""

    status = 413
    code = "content_too_large"


class UnsupportedMedia(ApiError):
    """A body whose Content-Type this route does not take."""

    status = 415
    code = "unsupported_media_type"


class UpgradeRequired(ApiError):
    """A request without `Upgrade: websocket` at a WebSocket's address."""

    status = 426
    code = "upgrade_required"
    more_headers: ClassVar[Mapping[str, str]] = {"Upgrade": "websocket", "Connection": "Upgrade"}


class LimitReached(ApiError):
    """A quota is used up: client secrets, sessions, tokens or dollars."""

    status = 429
    code = "rate_limit_exceeded"
    retry_after = 60  # Some secrets are used, or expire, in a minute.


class BadGateway(ApiError):
    """The Realtime API refused what the gateway asked of it; the gateway's log says why."""

    status = 502
    code = "upstream_refused"


class Unavailable(ApiError):
    """Postgres, or the identity provider, does not answer; or the gateway takes no session now."""

    status = 503
    code = "unavailable"
    retry_after = 5  # Longer than a failover of Postgres that clients should notice.
