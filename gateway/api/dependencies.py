"""What routes depend on: the `Gateway` that the lifespan builds, and the caller with a scope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from gateway.api.error_handlers import ErrorAnswer
from gateway.auth.authenticator import ADMIN, CONTROL, HISTORY, RECORDINGS, SECRETS, Authenticator, Principal
from gateway.background.change_feed import ChangeFeed
from gateway.background.draining import Draining
from gateway.background.queue_monitor import QueueMonitor
from gateway.background.retention import Retention
from gateway.calls.desk import CallDesk
from gateway.errors import PermissionDenied
from gateway.session.admission import SessionAdmission
from gateway.storage.database import Store
from gateway.storage.job_publisher import JobPublisher
from gateway.telephony.sip import SipCalls
from gateway.telephony.twilio.admission import TwilioAdmission

bearer_token = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="An API key (`rb_sk_…`), a JWT of the identity provider, or a token of the gateway's settings. "
    "What it may do, its scopes say: realtime, secrets, trusted, history, transcripts, recordings, control, admin.",
)

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorAnswer, "description": "The token is missing or not valid"},
    403: {"model": ErrorAnswer, "description": "The token lacks the scope, or the page's origin may not ask"},
    "4XX": {"model": ErrorAnswer, "description": "Refused"},
    503: {"model": ErrorAnswer, "description": "Postgres, or the identity provider, is away; see `Retry-After`"},
}
"""What every route that asks for a token may answer."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the routes of one process share. The lifespan of `gateway.app` opens and closes all of it."""

    store: Store
    publisher: JobPublisher
    authenticator: Authenticator
    admission: SessionAdmission
    retention: Retention
    draining: Draining
    max_client_secrets: int
    """Client secrets of one tenant that may be valid at once."""
    metrics_token: str = field(default="", repr=False)
    """Token that opens /metrics; empty: it is closed."""
    queues: QueueMonitor | None = None
    """Tells the metrics how long the queues are."""
    desk: CallDesk | None = None
    """Places calls by WebRTC, and is beside them."""
    changes: ChangeFeed | None = None
    """Tells the console's pages that calls have changed; None: they are not live."""
    twilio: TwilioAdmission | None = None
    """Takes phone calls from Twilio; None: no account is set up."""
    sip: SipCalls | None = None
    """Takes phone calls over SIP; None: no secret of their webhooks is set."""
    webhook_keys: tuple[bytes, ...] = field(default=(), repr=False)

    def may_have(self, tenant: str, tool: str) -> bool:
        """Return whether an agent of the tenant allows the tool."""
        agents = self.admission.agents.values()
        return any(agent.serves(tenant) and agent.allows(tool) for agent in agents)


def keep(app: FastAPI, gateway: Gateway) -> None:
    """Keep the gateway in the app's state, where `gateway_in` finds it."""
    app.state.gateway = gateway


def gateway_in(app: FastAPI) -> Gateway:
    """Return the gateway that the lifespan built."""
    gateway: Gateway = app.state.gateway
    return gateway


async def gateway_of(connection: HTTPConnection) -> Gateway:
    """Return the gateway that answers this request; tests override this dependency.

    It is async, as every dependency must be: FastAPI runs a plain function in a thread, and each request waits for it.
    """
    return gateway_in(connection.app)


TheGateway = Annotated[Gateway, Depends(gateway_of)]


async def authenticated(
    request: Request,
    gateway: TheGateway,
    _described: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_token)] = None,
) -> Principal:
    """Return the caller; raise AuthenticationError if the token is not valid."""
    return await gateway.authenticator.identify(request.headers.get("authorization"))


def needs(scope: str) -> Callable[..., Awaitable[Principal]]:
    """Return a dependency: the caller, if its token has this scope; else AuthenticationError, or PermissionDenied."""

    async def caller_with_scope(who: Annotated[Principal, Depends(authenticated)]) -> Principal:
        if scope not in who.scopes:
            has = ", ".join(sorted(who.scopes)) or "none"
            raise PermissionDenied(f"This needs the scope {scope!r}; yours: {has}.")
        return who

    return caller_with_scope


Reader = Annotated[Principal, Depends(needs(HISTORY))]
Listener = Annotated[Principal, Depends(needs(RECORDINGS))]
Controller = Annotated[Principal, Depends(needs(CONTROL))]
Minter = Annotated[Principal, Depends(needs(SECRETS))]
Admin = Annotated[Principal, Depends(needs(ADMIN))]
