"""Client secrets over HTTP: `POST /v1/realtime/client_secrets`, in the shape that OpenAI's SDKs send and expect.

A backend with the scope `secrets` asks for one and hands it to its user's browser. Of the `session` that it sends,
`model` may name an agent. The server decides every other field: it is left out, and the answer lists it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID, uuid4

import psycopg
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway.api.dependencies import REFUSALS, Gateway, Minter, TheGateway
from gateway.api.error_handlers import ErrorAnswer
from gateway.auth.authenticator import NOT_KNOWN, REALTIME, SCOPES, UNKNOWABLE, Principal
from gateway.auth.claims import PHONE, PHONE_USER, RESERVED, checked
from gateway.auth.tokens import Kind, digest, new
from gateway.conversation.client.view import ClientView
from gateway.errors import AuthenticationError, LimitReached, NotFound, PermissionDenied, Unavailable
from gateway.session.admission import SessionAdmission
from ringback.agents.agent import Agent
from ringback.statements.identity import credentials

MAX_LEFT_OUT = 50
"""Names that the answer lists."""


class ExpiresAfter(BaseModel):
    """When the secret stops opening sessions; a session that has begun goes on."""

    model_config = ConfigDict(extra="forbid", strict=True)

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=10, le=7_200)


class RingbackOptions(BaseModel):
    """Fields beside OpenAI's: the user whom the secret is for, and what it opens."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: str | None = Field(default=None, min_length=1, max_length=200)
    """The user who will speak; None: the caller. The name stands in the history."""
    claims: dict[str, Any] = Field(default_factory=dict, max_length=50)
    """More about the user, handed to tools."""
    scopes: tuple[str, ...] = Field(default=(), max_length=50, strict=False)
    """Scopes that tools ask for (`@tool(scopes=…)`); the caller must have each of them."""
    agent: str | None = Field(default=None, max_length=64)
    """The agent that it opens; None: the one that `session.model` names, or the default."""
    uses: int = Field(default=1, ge=1, le=1_000)
    """How many sessions it begins; resuming one of them does not count."""

    @field_validator("user")
    @classmethod
    def _printable(cls, user: str | None) -> str | None:
        if user is not None and not user.isprintable():
            raise ValueError("a user's name has no line breaks or other invisible characters")
        if user is not None and user.startswith(PHONE_USER):
            raise ValueError(RESERVED)
        return user

    @field_validator("claims")
    @classmethod
    def _small(cls, claims: dict[str, Any]) -> dict[str, Any]:
        if "scopes" in claims:
            raise ValueError("`scopes` is no claim: name them in ringback.scopes")
        if PHONE in claims:
            raise ValueError(f"`{PHONE}` is no claim of yours: the gateway sets it for phone calls")
        return checked(claims)


class SecretRequest(BaseModel):
    """The body; unknown fields of OpenAI's API are ignored."""

    model_config = ConfigDict(strict=True)

    expires_after: ExpiresAfter = Field(default_factory=ExpiresAfter)
    session: dict[str, Any] = Field(default_factory=dict)
    ringback: RingbackOptions = Field(default_factory=RingbackOptions)

    @field_validator("session")
    @classmethod
    def _realtime(cls, session: dict[str, Any]) -> dict[str, Any]:
        if session.get("type", "realtime") != "realtime":
            raise ValueError("session.type must be realtime: this gateway holds no other sessions")
        try:
            "".join(session).encode()
        except UnicodeEncodeError:
            raise ValueError("session's names must be plain text: no half of a character") from None
        return session


class SecretAnswer(BaseModel):
    """OpenAI's answer, and `ringback`: what the secret opens, and which fields of `session` were left out."""

    value: str
    expires_at: int
    session: dict[str, Any]
    ringback: dict[str, Any]


router = APIRouter(
    prefix="/v1",
    responses={
        **REFUSALS,
        404: {"model": ErrorAnswer, "description": "There is no such agent"},
        429: {"model": ErrorAnswer, "description": "The tenant has as many valid secrets as it may have"},
    },
    tags=["secrets"],
)


@router.post("/realtime/client_secrets")
async def create_client_secret(asked: SecretRequest, who: Minter, gateway: TheGateway) -> SecretAnswer:
    """Make a token for one conversation of one user, to be handed to a browser; it is shown once."""
    agent = _agent(asked, who, gateway.admission)
    claims = _claims(asked.ringback, who)
    value = new(Kind.SECRET)
    expires_at = await _keep(gateway, value, asked, who, agent, claims)
    if not await gateway.authenticator.is_still_good(who):  # signed out meanwhile: the secret is not shown
        raise AuthenticationError(NOT_KNOWN)
    return _answer(value, expires_at, asked, who, agent)


def _agent(asked: SecretRequest, who: Principal, admission: SessionAdmission) -> Agent:
    model = asked.session.get("model")
    agent = admission.agent_for(asked.ringback.agent, model if isinstance(model, str) else None)
    if agent is None or not agent.serves(who.tenant):
        raise NotFound("There is no such agent.", code="agent_not_found", param="ringback.agent")
    return agent


def _claims(wishes: RingbackOptions, who: Principal) -> dict[str, Any]:
    for scope in wishes.scopes:
        if scope in SCOPES and scope != REALTIME:
            why = f"{scope!r} is the gateway's: a client secret is for conversations only."
        elif scope not in who.scopes:
            why = f"You do not have the scope {scope!r} yourself, so you cannot give it."
        else:
            continue
        raise PermissionDenied(why, param="ringback.scopes")
    return {**wishes.claims, "scopes": sorted(set(wishes.scopes))}


async def _keep(
    gateway: Gateway,
    value: str,
    asked: SecretRequest,
    who: Principal,
    agent: Agent,
    claims: Mapping[str, Any],
) -> int:
    kind, _, rest = who.credential.partition(":")
    statement = credentials.mint_secret(
        uuid4(),
        digest(value),
        tenant=who.tenant,
        user=asked.ringback.user or who.user,
        minted_by=credentials.person(who.user) if kind == "jwt" else who.credential,
        key_id=UUID(rest) if kind == "key" else None,
        agent=agent.name,
        claims=dict(claims),
        uses=asked.ringback.uses,
        seconds_valid=asked.expires_after.seconds,
        limit=gateway.max_client_secrets,
    )
    try:
        rows = await gateway.store.rows(statement)
    except (psycopg.Error, OSError):
        raise Unavailable(UNKNOWABLE) from None
    if not rows:
        message = f"{gateway.max_client_secrets} client secrets are good already: use some, or wait until they expire."
        raise LimitReached(message, code="too_many_secrets")
    return int(rows[0].expires_at)


def _answer(value: str, expires_at: int, asked: SecretRequest, who: Principal, agent: Agent) -> SecretAnswer:
    # Backends hand the answer on to browsers.
    said = ClientView(f"sess_{uuid4().hex[:21]}").session(agent.session([]))
    session = {
        "id": said["id"],
        "object": "realtime.session",
        "type": "realtime",
        "expires_at": 0,
        "model": agent.model,
        "output_modalities": said["output_modalities"],
        "audio": said["audio"],
    }
    left_out = sorted(f"session.{name}"[:100] for name in asked.session if name not in ("type", "model"))
    ours = {
        "user": asked.ringback.user or who.user,
        "agent": agent.name,
        "uses": asked.ringback.uses,
        "recording": agent.recording,
        "left_out": left_out[:MAX_LEFT_OUT],
    }
    return SecretAnswer(value=value, expires_at=expires_at, session=session, ringback=ours)
