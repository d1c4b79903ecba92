"""The state of one session, what all sessions of the process share, and how a session ends."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias
from uuid import UUID

from gateway.auth.authenticator import Principal
from gateway.background.queue_monitor import QueueMonitor
from gateway.background.tool_catalog import ToolCatalog
from gateway.budgets.budgets import Budgets
from gateway.close_codes import ENDED, FINAL, HANDED_OVER, TRY_AGAIN_LATER
from gateway.conversation import Conversation
from gateway.conversation.actions import Event
from gateway.conversation.guard import Guard
from gateway.errors import GatewayError
from gateway.live_sessions import SessionHandle
from gateway.session.recording.placing import Recording
from gateway.settings import GatewaySettings
from gateway.small_event import Errands, SmallEvent
from gateway.storage.database import Store
from gateway.storage.gathered_writes import GatheredWrites
from gateway.storage.gathering import GatheredRuns
from gateway.storage.job_publisher import JobPublisher
from gateway.storage.step_reader import StepReader
from gateway.upstream.connection import Target, Upstream
from gateway.upstream.events import MalformedEvent, ModelEvent
from gateway.upstream.realtime_events import audio_of
from ringback.agents.agent import Agent
from ringback.agents.client_policy import ClientPolicy
from ringback.jobs.states import output_item_id
from ringback.privacy.row_privacy import RowPrivacy
from ringback.statements.jobs import admission, deliveries
from ringback.tools.spec import ToolSpec
from ringback.transport import Transport

if TYPE_CHECKING:
    from ringback.telemetry.call_spans import CallSpans

OnHeard: TypeAlias = Callable[[str, str, float], None]
"""Is told of each result that the user has heard, once its row says so: its tool, its queue, and the seconds from the
end of the job until then."""

log = logging.getLogger(__name__)

EXPIRED_SECONDS = 5.0
"""A connection that ends so close to its announced end has reached it."""


class CallControlFailed(GatewayError):
    """The carrier of a phone call did not do with it what it was asked to; the text says why."""


class CallControl(Protocol):
    """Control of one phone call, at its carrier."""

    async def transfer(self, target: str) -> None:
        """Transfer the call to a `tel:` or `sip:` address; raises CallControlFailed if it goes on as before.

        The session asks for one transfer at a time.
        """
        ...


@dataclass(frozen=True, slots=True)
class PhoneLine:
    """What a session that is a phone call has beside any other.

    Args:
        control: of the call.
        resume_token: resumes the session on any gateway to which the carrier brings the call back; None: none does.
    """

    control: CallControl
    resume_token: str | None = field(default=None, repr=False)


class SessionEnded(GatewayError):
    """The session is over in this process: a close code and a reason for the client, and the reason for the history."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    @classmethod
    def because(cls, reason: str) -> SessionEnded:
        """Return the end for a reason of the server's: one of `gateway.close_codes.ENDED`, or of `HANDED_OVER`."""
        return cls(TRY_AGAIN_LATER if reason in HANDED_OVER else ENDED[reason], reason)

    @property
    def is_final(self) -> bool:
        """True if the client cannot resume the session."""
        return self.reason in FINAL


@dataclass(slots=True)
class GatewayContext:
    """What all sessions of this process share."""

    gateway_id: str
    settings: GatewaySettings
    store: Store
    row_privacy: RowPrivacy
    publisher: JobPublisher
    queues: QueueMonitor
    tool_catalog: ToolCatalog
    budgets: Budgets
    spans: CallSpans | None = None
    """Tells the spans of calls; None where traces are off."""
    on_heard: OnHeard = lambda _tool, _queue, _waited: None
    on_link_over: Callable[[], None] = lambda: None
    """Is told of each link that a session goes on without: replaced, or given up before it was at work."""
    steps: StepReader = field(init=False)
    """Reads what the traces of calls tell of other processes."""
    gathered: GatheredWrites = field(init=False)
    """Runs what sessions write behind their talks."""
    admissions: GatheredRuns = field(init=False)
    """Runs `admission.admit`, by job."""
    ready_reads: GatheredRuns = field(init=False)
    """Runs `deliveries.read_ready`, by session."""

    def __post_init__(self) -> None:
        self.steps = StepReader(self.store)
        self.gathered = GatheredWrites(self.store)
        self.admissions = GatheredRuns(self.store, admission.admit_all, "id", leaves_out=True)
        self.ready_reads = GatheredRuns(self.store, deliveries.read_all_ready, "session_id")


class Alarm:
    """Timer of one session. It rings at the earliest moment that was asked for; times are those of `time.monotonic`.

    A moment that moves to later leaves the timer alone. So an alarm may ring early, and who hears it asks again.
    """

    __slots__ = ("_at", "_timer", "on_ring")

    def __init__(self, on_ring: Callable[[], None] = lambda: None) -> None:
        self.on_ring = on_ring
        self._at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def ring_at(self, moment: float) -> None:
        """Ring at this moment, unless the alarm rings before it; infinity asks for no moment."""
        if moment >= self._at:
            return
        self.stop()
        self._at = moment
        self._timer = asyncio.get_running_loop().call_later(max(0.0, moment - time.monotonic()), self._ring)

    def stop(self) -> None:
        """Forget the moment that was asked for."""
        if self._timer is not None:
            self._timer.cancel()
        self._at, self._timer = math.inf, None

    def _ring(self) -> None:
        self._at, self._timer = math.inf, None
        self.on_ring()


@dataclass(slots=True, eq=False)
class UpstreamLink:
    """One epoch at work: a connection to the Realtime API, and the conversation that listens to it.

    All times are of the session's clock.
    """

    epoch: int
    upstream: Upstream
    conversation: Conversation
    opened_at: float = 0.0
    heard_at: float = 0.0
    """When the Realtime API last said something."""
    announced_end: float | None = None
    """When the Realtime API says that it will end the connection, as it says it: Unix seconds, mostly."""
    expires_at: float | None = None
    """The same by the session's clock, if it can be true."""
    rotates_at: float | None = None
    """When the session is to move to a new connection."""
    moves_failed: int = 0
    """How often no new connection could be had in time."""
    guard: Guard | None = None
    """Watches the page of a call by WebRTC."""
    why_closed: str | None = None
    """Why the gateway gave the connection up, if it did."""
    given: set[UUID] = field(default_factory=set)
    """Jobs whose result the conversation was given, or has echoed, and whose row does not say so yet."""
    echoed: dict[UUID, int] = field(default_factory=dict)
    """Those of them that were echoed, with the position of the conversation at that moment."""
    all_echoed: SmallEvent = field(default_factory=SmallEvent)
    """Set when all of `given` are echoed."""
    is_marking: bool = False
    """True while a task marks `given` in the rows."""
    voices: Recording | None = None
    """Keeps both voices, if the agent has them recorded."""

    def passes(self, frame: str, now: float) -> bool | None:
        """Note a frame of the Realtime API that need not be parsed; return True if the client gets it as it came.

        Return False if the client does not get it, and None if it has to be parsed.
        """
        self.heard_at = now
        audio = self.upstream.passing_audio(frame)
        if audio is not None:
            if not self.conversation.audio_passed(audio[0], audio[1], now):
                return None
            if self.voices is not None:
                self.voices.model_said(audio[0], audio_of(frame), now)
            return True
        text = self.upstream.passing_text(frame)
        if text is not None:
            return self.conversation.text_passed(text, now) or None
        detail = self.upstream.passing_detail(frame) if self.guard is None else None
        return None if detail is None else self.conversation.detail_passed(detail, now)

    def parse(self, frame: str) -> ModelEvent | None:
        """Return the event in a frame of the Realtime API; None, and a line in the log, if it holds no event."""
        try:
            return self.upstream.read(frame)
        except MalformedEvent as problem:
            session_id = self.conversation.session_id
            log.warning("session %s: event dropped, the Realtime API sent it malformed: %s", session_id, problem)
            return None

    def why_it_ended(self, now: float) -> str:
        """Return the reason for the history and the client: the gateway's, the longest duration, or any other."""
        is_late = self.expires_at is not None and now > self.expires_at - EXPIRED_SECONDS
        reason = "session_expired" if is_late or self.conversation.is_expired else "upstream_closed"
        return self.why_closed or reason

    def held_seconds(self, now: float) -> float:
        """Return how long the connection was good. If it hung, it was good until it was last heard."""
        return (self.heard_at if self.why_closed == "upstream_hung" else now) - self.opened_at


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call that goes to the Realtime API itself; the session attaches to it there.

    Args:
        call_id: of the Realtime API.
        transport: how the caller's voice goes.
        secret: the ids of its outputs are derived from it, so that its page cannot know one before it is sent.
        was_joined: a gateway before this one has been beside it, and has asked for its greeting.
    """

    call_id: str
    transport: Transport
    secret: str = field(repr=False)
    was_joined: bool = False


@dataclass(slots=True, eq=False)
class SessionState:
    """The state of one session, which `gateway.session.session.Session` owns and its parts share.

    The session alone replaces `link`. The upstream switcher alone advances `epoch`, with the row.
    """

    session_id: UUID
    principal: Principal
    epoch: int
    """In which the session is now, as its row says: 1 for a new session, a later one if it was resumed."""
    agent: Agent
    target: Target
    handle: SessionHandle
    tools: dict[str, ToolSpec] = field(default_factory=dict)
    client_session: Event = field(default_factory=dict)
    """What a client has set of the session on an earlier connection."""
    is_resumed: bool = False
    wants: frozenset[str] = frozenset()
    """The extensions that the client asked for (`?ringback=`)."""
    resume_token: str | None = field(default=None, repr=False)
    """For the client, if it asked for one."""
    call: LiveCall | None = None
    """The call that the session is beside; None: its client talks through the gateway."""
    line: PhoneLine | None = None
    """The phone call that it is; None: it is none."""
    began_at: float = field(default_factory=time.monotonic)
    """When the session began, maybe in another process, by this one's monotonic clock."""
    recording: Recording | None = field(init=False)
    """Both voices, if the agent has them recorded."""
    link: UpstreamLink | None = None
    """The connection and conversation at work; None until the first is open."""
    tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    """Every task of the session. The first that raises ends them all."""
    errands: Errands = field(init=False)
    """What the session does when it is asked to."""
    switching: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while one link follows another."""
    alarm: Alarm = field(default_factory=Alarm)
    """Rings when the conversation at work wants to be woken, or before that."""

    def __post_init__(self) -> None:
        self.errands = Errands(self.tasks)
        self.recording = Recording(self.began_at) if self.agent.recording else None

    @property
    def policy(self) -> ClientPolicy:
        """What the client may say and see."""
        return self.agent.policy(trusted=self.principal.is_trusted)

    @property
    def asks(self) -> frozenset[str]:
        """The extensions that the client asked for and may have."""
        return self.wants.intersection(self.policy.asks)

    @property
    def lives_on(self) -> bool:
        """True if the session may go on in another process: its client can resume it, or it is a live call."""
        return self.resume_token is not None or self.call is not None

    def output_id(self, job_id: UUID) -> str:
        """Return the id of the item that brings the result of a job into this session's conversation."""
        return output_item_id(job_id, "" if self.call is None else self.call.secret)

    def may_have(self, tool: ToolSpec) -> bool:
        """Return True if the agent allows the tool, and the principal holds the scopes that it asks for."""
        return self.agent.allows(tool.name) and self.principal.scopes.issuperset(tool.behavior.scopes)
