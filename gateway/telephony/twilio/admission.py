"""Takes calls from Twilio: tells it where to bring a call's audio, and begins the session when the audio comes.

A call comes twice. First Twilio asks over HTTP what to do with it, with a signature. It is told a client secret, which
is good once and for a minute. Then it opens the WebSocket, and presents that secret in its first frames.

If the stream ends and the call does not, as when its gateway was killed, Twilio asks again. The session goes on then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import psycopg

from gateway.auth.authenticator import Authenticator
from gateway.auth.claims import PHONE
from gateway.auth.tokens import Kind, digest, new
from gateway.bounded_semaphore import BoundedSemaphore
from gateway.errors import ApiError, AuthenticationError, LimitReached, Unavailable
from gateway.session.admission import SessionAdmission
from gateway.session.context import PhoneLine, SessionState
from gateway.telephony.routing import IncomingCall, agent_for, incoming
from gateway.telephony.twilio import twiml
from gateway.telephony.twilio.account import TwilioAccount, TwilioCallControl
from gateway.telephony.twilio.stream import AUDIO, Start
from ringback.agents.agent import Agent
from ringback.statements.identity import credentials
from ringback.statements.sessions import lifecycle

log = logging.getLogger(__name__)

OVER = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""What Twilio's `CallStatus` says of a call that is over: it tells of the end of a stream then, too."""
AGAIN = "again=1"
"""The query by which Twilio asks what is next for a call whose stream is over."""
CARRIER = "twilio"
TOKEN = "token"  # noqa: S105 — the parameter's name
SECRET_SECONDS = 60.0
"""Twilio opens the stream within a second or two."""
MAX_UNKNOWN = 64
"""Streams that have not said which call they are: they hold a socket, and have shown no credential."""
WANTS = frozenset({"playback", "resume"})
"""What the session is asked for: Twilio tells what was played, and brings a call back whose gateway is gone."""


@dataclass(frozen=True, slots=True)
class TwilioAdmission:
    """Admission of Twilio's calls to this process."""

    account: TwilioAccount
    admission: SessionAdmission
    authenticator: Authenticator
    max_client_secrets: int
    voice_at: str
    """Paths of the routes that Twilio asks."""
    stream_at: str
    unknown: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MAX_UNKNOWN, 0))
    """Held by a stream until it has said which call it is."""

    async def answer(self, form: Mapping[str, str], *, is_again: bool) -> str:
        """Return what Twilio is to do with a call, as TwiML. The form is Twilio's, and its signature was checked."""
        call = incoming(CARRIER, form.get("CallSid", ""), form.get("From", ""), form.get("To", ""))
        agent = agent_for(self.admission.agents, call)
        if agent is None or agent.phone is None or not call.call_id:
            log.warning("twilio call rejected: %s to %s: no agent takes it", call.caller, call.called)
            return twiml.HANG_UP if is_again else twiml.REJECT
        try:
            if is_again:
                is_over = form.get("CallStatus") in OVER
                return twiml.HANG_UP if is_over else await self._bring_back(call, agent)
            await self._refuse_if_full(call, agent)
            return await self._connect(call, agent)
        except (ApiError, psycopg.Error, OSError) as problem:
            log.warning(
                "twilio call refused: %s to agent %s (%s); Twilio is told busy", call.caller, agent.name, problem
            )
            return twiml.HANG_UP if is_again else twiml.BUSY

    async def begin(self, start: Start) -> SessionState:
        """Begin the session of a stream, or go on with that of its call.

        Raises:
            ApiError: the stream's token is not valid, or no session may begin.
            psycopg.Error, OSError: Postgres does not answer.
        """
        who = await self.authenticator.identify(f"Bearer {start.custom_parameters.get(TOKEN, '')}")
        call = who.claims.get(PHONE)
        agent = self.admission.agents.get(who.agent or "")
        is_calls = isinstance(call, Mapping) and (call.get("carrier"), call.get("call")) == (CARRIER, start.call_sid)
        if not is_calls or who.spends is None or agent is None or agent.phone is None:
            raise AuthenticationError("This stream's token is not valid: it was not made for this call.")
        await self.authenticator.spend(who)
        control = TwilioCallControl(self.account.api_url, start.account_sid, self.account.tokens[0], start.call_sid)
        token = self.account.resume_token(start.call_sid)
        line = PhoneLine(control, token)
        state = await self.admission.resume(who, token, WANTS, line)
        if state is None:
            return await self.admission.begin(who, agent.on_phone(AUDIO), WANTS, line=line)
        state.agent = state.agent.on_phone(AUDIO)
        return state

    async def _refuse_if_full(self, call: IncomingCall, agent: Agent) -> None:
        assert agent.phone is not None  # noqa: S101
        if (reason := self.admission.why_not()) is not None:
            raise Unavailable(f"No session can begin right now: {reason}.")
        await self.admission.check_quota(call.principal(agent.phone, agent.name), agent)

    async def _bring_back(self, call: IncomingCall, agent: Agent) -> str:
        """Have the stream opened again if the call's session goes on; else hang up."""
        assert agent.phone is not None  # noqa: S101
        hashed = digest(self.account.resume_token(call.call_id))
        asked = lifecycle.resumable(hashed, user_id=call.user, tenant=agent.phone.tenant, agent=agent.name)
        if not await self.admission.gateway.store.rows(asked):
            return twiml.HANG_UP
        log.info("twilio call %s lost its stream, and is brought back", call.call_id)
        return await self._connect(call, agent)

    async def _connect(self, call: IncomingCall, agent: Agent) -> str:
        assert agent.phone is not None  # noqa: S101
        secret = new(Kind.SECRET)
        statement = credentials.mint_secret(
            uuid4(),
            digest(secret),
            tenant=agent.phone.tenant,
            user=call.user,
            minted_by=f"phone:{CARRIER}",
            key_id=None,
            agent=agent.name,
            claims={**call.claims, "scopes": []},
            uses=1,
            seconds_valid=SECRET_SECONDS,
            limit=self.max_client_secrets,
        )
        if not await self.admission.gateway.store.rows(statement):
            raise LimitReached("the tenant has as many valid client secrets as it may have", code="too_many_secrets")
        stream_url = self.account.url_of(self.stream_at).replace("http", "ws", 1)
        return twiml.connect(stream_url, self.account.url_of(self.voice_at, AGAIN), secret)
