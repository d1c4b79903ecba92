"""Opens a session's upstream conversation, and the next one when that ends.

An epoch begins in two steps. *Dialling* takes a connection to the point where the server's instructions and tools are
in force; it touches no row, and takes as long as the Realtime API takes. *Replaying* advances the session's epoch and
reads what the rows hold, both in one transaction, and tells it to the new conversation: milliseconds, and a round trip.

    the connection is lost    dial, with backoff and jitter, until one can be replayed to or the time for it is up
    it will expire soon       dial while the old one goes on; replay when it is quiet; then close the old one

If no new connection can be had, the old one goes on. Only a refusal of the very first ends the session for good; after
any other end its client may come back.

From the moment an epoch begins, what an older one still writes finds another number in the row, and changes 0 rows.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import psycopg

from gateway.auth.tokens import digest
from gateway.backoff import doubled, pauses
from gateway.close_codes import INTERNAL_ERROR, PERMANENT, SUPERSEDED, TRY_AGAIN_LATER
from gateway.conversation import Conversation
from gateway.conversation.event_ids import EventIds
from gateway.conversation.guard import Guard
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory, history_of
from gateway.conversation.tool_calls.client_tools import first_session
from gateway.conversation.tool_calls.rendering import DeliveryContext
from gateway.session.client_reader import ClientReader
from gateway.session.context import Alarm, GatewayContext, SessionEnded, SessionState, UpstreamLink
from gateway.session.effects import EffectExecutor
from gateway.small_event import Errand
from gateway.upstream.connection import UpstreamBusy, UpstreamClosed, UpstreamRefused, UpstreamSilent
from gateway.upstream.quirks import lifetime
from ringback.postgres.statement import Runnable
from ringback.statements.sessions import items, lifecycle
from ringback.telemetry import metrics
from ringback.transport import Transport

log = logging.getLogger(__name__)

STEADY_SECONDS = 10.0
"""A conversation that held for so long ends a series of failures: the next one gets all the time to be mended."""
QUIET_LOOK_SECONDS = 0.25
"""How often a conversation that is to move is checked for a voice; a pause in a talk lasts longer."""
REDIAL_SECONDS, REDIAL_SELDOM_SECONDS = 0.25, 5.0
"""Before the third attempt, and at most: the second comes at once, and a longer pause only lengthens the silence."""
ROTATE_AGAIN_SECONDS, ROTATE_SELDOM_SECONDS = 5.0, 60.0
"""After a new connection could not be had in time: the old one is still good. Each pause is twice as long."""
ROTATE_LEAST_SECONDS = 30.0
"""Between two moves: a server that says of each connection that it ends at once is waited for."""
NOT_THERE = 404
JOIN_SECONDS = 20.0
"""How long a new call may be unknown at the Realtime API: it begins when the browser has connected."""
MISHAPS = (UpstreamRefused, UpstreamClosed, psycopg.Error, OSError, TimeoutError)
"""What may fail on the way to a new epoch, and is tried again."""

Activate: TypeAlias = Callable[[UpstreamLink, str | None], Awaitable[None]]
"""Makes a link the one at work. The reason is for a client that was there before."""


class UpstreamSwitcher:
    """Opener of one session's links, one after the other. It hands each to `activate` once it is open."""

    joins = False
    """True: each link attaches to the same conversation (`SidebandSwitcher`)."""

    def __init__(
        self,
        gateway: GatewayContext,
        session: SessionState,
        effects: EffectExecutor,
        reader: ClientReader,
        activate: Activate,
    ) -> None:
        self._gateway = gateway
        self._session = session
        self._effects = effects
        self._reader = reader
        self._activate = activate
        self._trouble_since: float | None = None
        self._pauses = pauses(random.random, REDIAL_SECONDS, REDIAL_SELDOM_SECONDS)
        """Of the present series of failures."""
        self._moved_at: float | None = None
        self.rotation = Alarm(Errand(self._rotate_if_due, session.errands).ask)
        """Rings when the session is to leave its link."""
        self._is_fresh = True
        """True while no conversation of this epoch has been told of the session."""

    async def connect(self) -> None:
        """Open the first link of the session in this process. It may take some attempts: the client waits."""
        session = self._session
        carried = CarriedState(has_past=session.is_resumed, client_session=dict(session.client_session))
        self._trouble_since = time.monotonic()
        link = await self._open(carried, SessionEnded(TRY_AGAIN_LATER, "upstream_unavailable"), greets=True)
        self._is_fresh = False
        self._trouble_since = self._trouble_since if session.is_resumed else None
        await self._hand_over(link, None)

    async def reconnect(self, lost: UpstreamLink, reason: str) -> None:
        """Build the conversation of a lost link anew. End the session if that cannot be done in time."""
        async with self._session.switching:
            if self._session.link is not lost:
                return  # it was replaced meanwhile
            now = time.monotonic()
            if self._trouble_since is None or lost.held_seconds(now) > STEADY_SECONDS:
                self._trouble_since, self._pauses = now, pauses(random.random, REDIAL_SECONDS, REDIAL_SELDOM_SECONDS)
            self._reader.pause()
            await self._effects.execute(lost, lost.conversation.cut(reason, now))
            if now >= self._trouble_since + self._gateway.settings.upstream_retry_seconds:
                raise SessionEnded(INTERNAL_ERROR, reason)
            link = await self._open(lost.conversation.carry(now), SessionEnded(INTERNAL_ERROR, reason), greets=False)
            await self._hand_over(link, reason)
            self._gateway.on_link_over()

    async def _rotate_if_due(self) -> None:
        """Move to a new connection between turns, before the Realtime API ends the old one."""
        link = self._session.link
        if link is None or link.rotates_at is None:
            return
        if link.rotates_at <= time.monotonic():
            try:
                await self._rotate(link)
            except MISHAPS as problem:
                metrics.UPSTREAM_FAILURES.inc(_kind(problem))
                pause = doubled(ROTATE_AGAIN_SECONDS, ROTATE_SELDOM_SECONDS, link.moves_failed)
                log.warning(
                    "rotation failed: session %s (%s); trying again in %g s",
                    *(self._session.session_id, _describe(problem), pause),
                )
                link.rotates_at = time.monotonic() + pause
                link.moves_failed += 1
        if link is self._session.link:
            self.rotation.ring_at(link.rotates_at)

    async def _rotate(self, old: UpstreamLink) -> None:
        fresh = await self._dial(old.conversation.carry(time.monotonic()), greets=False)
        try:
            await self._configure(fresh)
            while not old.conversation.is_quiet(time.monotonic()):
                if self._session.link is not old:
                    return
                await self._receive_one(fresh, within=QUIET_LOOK_SECONDS)
            async with self._session.switching:
                if self._session.link is not old:
                    return
                await self._move(old, fresh)
        finally:
            await (old if self._session.link is fresh else fresh).upstream.close()
            self._gateway.on_link_over()

    async def _move(self, old: UpstreamLink, fresh: UpstreamLink) -> None:
        self._reader.pause()
        try:
            # It may have heard a turn since the new one was dialled, or begun one just now.
            await self._effects.execute(old, old.conversation.cut("rotated", time.monotonic()))
            fresh.conversation.take_over(old.conversation.carry(time.monotonic()))
            self._moved_at = time.monotonic()
            await self._replay(fresh)
        except BaseException:
            # The old one's epoch is over, or will be by the next attempt: it is mended like one that was lost.
            old.why_closed = "rotated"
            old.upstream.abort()
            raise
        await self._hand_over(fresh, "rotated")

    async def _open(self, carried: CarriedState, otherwise: SessionEnded, *, greets: bool) -> UpstreamLink:
        """Open a link and replay the past to it, with retries. Raise `otherwise` when the time for it is up."""
        for pause in self._pauses:
            await asyncio.sleep(pause)
            link = None
            try:
                link = await self._dial(carried, greets=greets)
                await self._configure(link)
                if link.conversation.wants_past:
                    await self._replay(link)
            except MISHAPS as problem:
                if link is not None:
                    carried = link.conversation.carry(time.monotonic())
                    await link.upstream.close()
                    self._gateway.on_link_over()
                self._give_up_if(problem, otherwise, is_first=not carried.has_past)
                continue
            except BaseException:  # no other task knows the connection yet
                if link is not None:
                    link.upstream.abort()
                raise
            return link
        raise AssertionError("pauses do not end")

    def _give_up_if(self, problem: Exception, otherwise: SessionEnded, *, is_first: bool) -> None:
        """Raise if the session has not begun, unless the server is only busy; or if the time for retries is up."""
        assert self._trouble_since is not None  # noqa: S101
        metrics.UPSTREAM_FAILURES.inc(_kind(problem))
        log.warning("upstream not open: session %s (%s)", self._session.session_id, _describe(problem))
        if is_first and isinstance(problem, UpstreamClosed):
            raise SessionEnded(INTERNAL_ERROR, "upstream_closed") from None
        if is_first and not isinstance(problem, UpstreamBusy):
            raise problem
        if time.monotonic() > self._trouble_since + self._gateway.settings.upstream_retry_seconds:
            raise otherwise from None

    async def _dial(self, carried: CarriedState, *, greets: bool) -> UpstreamLink:
        """Connect, and return a link on which neither side has said anything."""
        session, settings = self._session, self._gateway.settings
        began = time.monotonic()
        upstream = await settings.provider.connect(session.target, settings.upstream_connect_seconds)
        metrics.UPSTREAM_CONNECT.observe(time.monotonic() - began)
        epoch = session.epoch if self._is_fresh else session.epoch + 1
        conversation = Conversation(
            session.session_id,
            session.agent,
            session.tools,
            epoch=epoch,
            carried=carried,
            wants=session.asks,
            policy=session.policy,
            began_at=session.began_at,
            waits=self._gateway.queues.wait_seconds,
            greets=greets,
            quirks=session.target.quirks,
            joins=self.joins,
            phone=session.agent.phone if session.line is not None else None,
            secret="" if session.call is None else session.call.secret,
        )
        guard = self._guard(conversation, epoch)
        return UpstreamLink(epoch, upstream, conversation, voices=session.recording, guard=guard)

    def _guard(self, conversation: Conversation, epoch: int) -> Guard | None:
        return None

    async def _configure(self, link: UpstreamLink) -> None:
        """Bring the link to the point where only the past is missing."""
        conversation, seconds = link.conversation, self._gateway.settings.upstream_connect_seconds
        await self._effects.execute(link, conversation.tick(time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                while not (conversation.is_open or conversation.wants_past):
                    await self._receive_one(link)
        except UpstreamClosed:  # it may have said why
            await self._effects.execute(link, conversation.cut("upstream_closed", time.monotonic()))
            _raise_if_given_up(link)
            raise
        except TimeoutError:
            session_id = self._session.session_id
            log.error("upstream silent: session %s; the Realtime API did not confirm it in %g s", session_id, seconds)
            raise UpstreamSilent("it does not confirm the session") from None

    async def _replay(self, link: UpstreamLink) -> None:
        """Begin the epoch in the rows, and tell the new conversation what they hold."""
        past = await self._load_history(link)
        await self._effects.execute(link, link.conversation.remember(past, time.monotonic()))
        async with asyncio.timeout(self._gateway.settings.upstream_connect_seconds):
            while not link.conversation.is_open:
                await self._receive_one(link)

    async def _load_history(self, link: UpstreamLink) -> ConversationHistory:
        """Advance the epoch, take every result there is into it, and read the log, all in one transaction."""
        await self._effects.settle()
        session, gateway_id, session_id = self._session, self._gateway.gateway_id, self._session.session_id
        if self._is_fresh:
            first: Any = lifecycle.is_owned(session_id, gateway_id, session.epoch)
            epoch = session.epoch
        else:
            first = lifecycle.next_epoch(session_id, gateway_id, session.epoch)
            epoch = session.epoch + 1
        rows = await self._gateway.store.together(
            first,
            *self._taken_in(epoch),
            items.log_of_messages(session_id),
            items.log_of_calls(session_id),
        )
        if not rows[0]:
            await self._find_epoch(epoch)
        *_, messages, calls = rows
        session.epoch, link.epoch, self._is_fresh = epoch, epoch, False
        revealed = [self._gateway.row_privacy.reveal(row, session_id) for row in calls]
        past = history_of(messages, revealed, None if self.joins else epoch, link.conversation.untold)
        if link.guard is not None:
            context = DeliveryContext(max_chars=session.agent.max_result_chars)
            link.guard.expects(past.outputs(context, session.output_id))
        return past

    def _taken_in(self, epoch: int) -> tuple[Runnable, ...]:
        """Return the statement that takes every result there is into the epoch that begins."""
        return (items.replay(self._session.session_id, self._gateway.gateway_id, epoch),)

    async def _find_epoch(self, epoch: int) -> None:
        """Raise SessionEnded if another connection has the session; TimeoutError if the epoch had begun unheard."""
        session, token = self._session, self._session.resume_token
        # Its client may have come back to this very gateway: then the epoch is that connection's, and so is the token.
        mine = digest(token) if token else None
        owned = lifecycle.is_owned(session.session_id, self._gateway.gateway_id, epoch, mine)
        if not await self._gateway.store.rows(owned):
            raise SessionEnded(SUPERSEDED, "session_superseded")
        session.epoch = epoch
        raise TimeoutError("the epoch began and its answer was lost: another one follows it")

    async def _receive_one(self, link: UpstreamLink, within: float | None = None) -> None:
        """Have the conversation receive the next event, or hear that so much time has passed without one."""
        now, frame = time.monotonic(), None
        waits = max(0.0, min(math.inf if within is None else within, link.conversation.wake_at(now) - now))
        try:
            async with asyncio.timeout(None if waits == math.inf else waits):
                frame = await link.upstream.receive()
        except TimeoutError:
            await self._effects.execute(link, link.conversation.tick(time.monotonic()))
        event = None if frame is None else link.parse(frame)
        if event is not None and await self._effects.guarded(link, event):
            await self._effects.execute(link, link.conversation.receive_model(event, time.monotonic()))
        _raise_if_given_up(link)

    async def _hand_over(self, link: UpstreamLink, reason: str | None) -> None:
        link.opened_at = time.monotonic()
        if reason is not None:
            metrics.RECONNECTS.inc(reason)
        self._plan_rotation(link)
        await self._activate(link, reason)
        if link.rotates_at is not None:
            self.rotation.ring_at(link.rotates_at)

    def _plan_rotation(self, link: UpstreamLink) -> None:
        """Set when the session is to leave this link, by what the Realtime API says of its end."""
        left, now = lifetime(link.announced_end, time.time()), time.monotonic()
        if left is None:
            if link.announced_end:
                words = "upstream end impossible: session %s, %.16g; rotating only when the connection ends"
                log.warning(words, self._session.session_id, link.announced_end)
            return
        link.expires_at = now + left
        before = min(self._gateway.settings.rotate_before_seconds, left / 2)
        earliest = now if self._moved_at is None else self._moved_at + ROTATE_LEAST_SECONDS
        link.rotates_at = max(link.expires_at - before, earliest)


class SidebandSwitcher(UpstreamSwitcher):
    """Opener of one call's links: each attaches to the same live conversation, which needs no telling of its past.

    The Realtime API answers 404 for a call that it does not know: at first because the browser has not connected yet,
    and later because the call is over. A gateway that takes a young call over cannot tell which, and asks again. What
    was said while no link was attached is not told again.
    """

    joins = True

    def _give_up_if(self, problem: Exception, otherwise: SessionEnded, *, is_first: bool) -> None:
        """Raise if the call is over, or the Realtime API lets no gateway join it in time."""
        status = problem.status if isinstance(problem, UpstreamRefused) else None
        is_new = is_first and self._trouble_since is not None
        if status == NOT_THERE and not is_first:
            if not self._may_still_begin():
                raise SessionEnded.because("call_over") from None
            return
        if is_new and (status == NOT_THERE or status not in PERMANENT):
            metrics.UPSTREAM_FAILURES.inc(type(problem).__name__)
            if time.monotonic() > (self._trouble_since or 0.0) + JOIN_SECONDS:
                raise SessionEnded.because("call_not_joined") from None
            return
        super()._give_up_if(problem, otherwise, is_first=is_first)

    def _may_still_begin(self) -> bool:
        """Return True if the browser of a call that was taken over may not have connected yet."""
        return self._session.link is None and time.monotonic() - self._session.began_at < JOIN_SECONDS

    def _taken_in(self, epoch: int) -> tuple[Runnable, ...]:
        return ()  # the conversation has what it was given, and is told the rest live

    def _plan_rotation(self, link: UpstreamLink) -> None:
        return

    def _guard(self, conversation: Conversation, epoch: int) -> Guard | None:
        """Return the guard of a page's call; a telephone has no data channel."""
        session = self._session
        if session.call is None or session.call.transport is not Transport.WEBRTC:
            return None
        placed = first_session(session.agent, session.tools)
        return Guard(session.agent.guard, session.policy, placed, epoch, EventIds(epoch).new, session.target.quirks)


def _raise_if_given_up(link: UpstreamLink) -> None:
    if link.why_closed is not None:
        raise UpstreamBusy(link.why_closed)


def _kind(problem: BaseException) -> str:
    """Return the name of a failure's class, such as `UpstreamRefused`; one name for all of Postgres' failures."""
    return "Postgres" if isinstance(problem, psycopg.Error) else type(problem).__name__


def _describe(problem: BaseException) -> str:
    return f"{type(problem).__name__} {problem}".strip()[:200]
