"""How a session gets its upstream conversation, and the next one when that ends.

An epoch begins in two steps. *Dialling* takes a connection to the point where our instructions and tools are in force;
it touches no row, and takes as long as the Realtime API takes. *Filling* bumps the session's epoch, takes in what the
rows hold, both in one transaction, and tells it to the new conversation: milliseconds, and a round trip.

    the connection is lost    dial, with backoff and jitter, until one can be filled or the time for it is up
    it will expire soon       dial while the old one goes on; fill when nobody speaks; then close the old one

Where the next one cannot be had, the old one is none the worse. Only what refuses the first of all ends the session for
good; after any other end its client may come back.

From the moment an epoch begins whatever an older one still does finds another number in the row, and is refused.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from gateway.auth.resume_tokens import digest
from gateway.close_codes import SUPERSEDED, TRY_AGAIN_LATER
from gateway.conversation import Conversation
from gateway.conversation.actions import LetClientIn
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import HistoryRows
from gateway.session.context import GatewayContext, SessionEnded, SessionHost, UpstreamLink
from gateway.upstream.backoff import pauses
from gateway.upstream.connection import UpstreamBusy, UpstreamClosed, UpstreamRefused, UpstreamSilent, WebSocketUpstream
from gateway.upstream.providers import lifetime
from ringback.statements.sessions import items, lifecycle

log = logging.getLogger(__name__)

STEADY_SECONDS = 10.0
"""A conversation that held for so long ends a series of failures: the next one has all the time to be mended."""
QUIET_LOOK_SECONDS = 0.25
"""How often a conversation that is to move is asked whether a voice is heard; a pause in a talk lasts longer."""
ROTATE_AGAIN_SECONDS, ROTATE_SELDOM_SECONDS = 5.0, 60.0
"""After a new connection could not be had in time: the old one is still good. Each pause is twice as long."""
ROTATE_LEAST_SECONDS = 30.0
"""Between two moves: a server that says of each session that it ends at once is waited for."""
MISHAPS = (UpstreamRefused, UpstreamClosed, SQLAlchemyError, OSError, TimeoutError)
"""What may go wrong on the way to a new epoch, and is tried again."""


class UpstreamSwitcher:
    """The links of one session, one after the other."""

    def __init__(self, context: GatewayContext, holder: SessionHost) -> None:
        self._context = context
        self._holder = holder
        self.switching = asyncio.Lock()
        """Held while one link follows another."""
        self._trouble_since: float | None = None
        self._pauses = pauses(random.random)
        """Of the present series of failures."""
        self._moved_at: float | None = None
        self.epoch = holder.start.epoch
        """The session's own, as the row has it."""
        self._is_fresh = True
        """Nothing was told to a conversation of this epoch yet."""

    async def begin(self) -> None:
        """The first link of a session here. It may take some attempts: its client has just come, and waits."""
        start = self._holder.start
        carried = CarriedState(has_past=start.is_resumed, client_session=dict(start.client_session))
        self._trouble_since = time.monotonic()
        link = await self._insist(carried, SessionEnded(TRY_AGAIN_LATER, "upstream_unavailable"), greets=True)
        self._is_fresh = False
        self._trouble_since = self._trouble_since if start.is_resumed else None
        await self._hand_over(link, None)

    async def begin_again(self, lost: UpstreamLink, reason: str) -> None:
        """The link is gone: build its conversation anew, or end the session where that cannot be done in time."""
        async with self.switching:
            if self._holder.link is not lost:
                return  # it is seen to
            now = time.monotonic()
            if self._trouble_since is None or lost.held_seconds(now) > STEADY_SECONDS:
                self._trouble_since, self._pauses = now, pauses(random.random)
            self._holder.hold()
            await self._holder.perform(lost, lost.conversation.cut(reason, now))
            if now >= self._trouble_since + self._context.settings.upstream_retry_seconds:
                raise SessionEnded(1011, reason)
            link = await self._insist(lost.conversation.carry(now), SessionEnded(1011, reason), greets=False)
            await self._hand_over(link, reason)

    async def rotate_in_time(self) -> None:
        """Move to a new connection between turns, before the Realtime API ends the old one. Until cancelled."""
        while True:
            link = self._holder.link
            wait = QUIET_LOOK_SECONDS
            if link is not None and link.rotates_at is not None:
                wait = max(wait, link.rotates_at - time.monotonic())
            await asyncio.sleep(min(wait, ROTATE_AGAIN_SECONDS))
            if link is self._holder.link and link is not None and _is_due(link):
                try:
                    await self._rotate(link)
                except MISHAPS as problem:
                    log.warning("session %s cannot move yet: %s", link.conversation.session_id, _in_words(problem))
                    pause = min(ROTATE_AGAIN_SECONDS * 2**link.moves_failed, ROTATE_SELDOM_SECONDS)
                    link.rotates_at = time.monotonic() + pause
                    link.moves_failed += 1

    async def _rotate(self, old: UpstreamLink) -> None:
        fresh = await self._dial(old.conversation.carry(time.monotonic()), greets=False)
        try:
            await self._configure(fresh)
            while not old.conversation.is_quiet(time.monotonic()):
                if self._holder.link is not old:
                    return
                await self._hear_one(fresh, within=QUIET_LOOK_SECONDS)
            async with self.switching:
                if self._holder.link is not old:
                    return
                await self._move(old, fresh)
        finally:
            await (old if self._holder.link is fresh else fresh).upstream.close()

    async def _move(self, old: UpstreamLink, fresh: UpstreamLink) -> None:
        self._holder.hold()
        try:
            # It may have heard a turn since the new one was dialled, or begun one just now.
            await self._holder.perform(old, old.conversation.cut("rotated", time.monotonic()))
            fresh.conversation.take_over(old.conversation.carry(time.monotonic()))
            self._moved_at = time.monotonic()
            await self._fill(fresh)
        except BaseException:
            # The old one's epoch is over, or will be by the next attempt: it is mended like one that was lost.
            old.why_closed = "rotated"
            old.upstream.abort()
            raise
        await self._hand_over(fresh, "rotated")

    async def _insist(self, carried: CarriedState, otherwise: SessionEnded, *, greets: bool) -> UpstreamLink:
        """A conversation that has its past, or an end of the session: `otherwise`, when the time for it is up."""
        for pause in self._pauses:
            await asyncio.sleep(pause)
            link = None
            try:
                link = await self._dial(carried, greets=greets)
                await self._configure(link)
                if link.conversation.wants_past:
                    await self._fill(link)
            except MISHAPS as problem:
                if link is not None:
                    carried = link.conversation.carry(time.monotonic())
                    await link.upstream.close()
                self._give_up_if(problem, otherwise, is_first=not carried.has_past)
                continue
            except BaseException:  # the connection is known to nothing else yet
                if link is not None:
                    link.upstream.abort()
                raise
            return link
        raise AssertionError("pauses do not end")

    def _give_up_if(self, problem: Exception, otherwise: SessionEnded, *, is_first: bool) -> None:
        """A session that has not begun is told at once that there is none; a server that is only busy is waited for."""
        assert self._trouble_since is not None  # noqa: S101
        log.warning("session %s: no conversation yet: %s", self._holder.start.session_id, _in_words(problem))
        if is_first and isinstance(problem, UpstreamClosed):
            raise SessionEnded(1011, "upstream_closed") from None
        if is_first and not isinstance(problem, UpstreamBusy):
            raise problem
        if time.monotonic() > self._trouble_since + self._context.settings.upstream_retry_seconds:
            raise otherwise from None

    async def _dial(self, carried: CarriedState, *, greets: bool) -> UpstreamLink:
        """A connection on which nothing was said yet."""
        start = self._holder.start
        upstream = await WebSocketUpstream.open(start.target, self._context.settings.upstream_connect_seconds)
        epoch = self.epoch if self._is_fresh else self.epoch + 1
        conversation = Conversation(
            start.session_id,
            start.agent,
            start.tools,
            epoch=epoch,
            carried=carried,
            wants=start.asks,
            policy=start.policy,
            began_at=start.began_at,
            waits=self._context.queues.wait_seconds,
            greets=greets,
            create_seconds=start.target.profile.create_seconds,
        )
        return UpstreamLink(epoch, upstream, conversation)

    async def _configure(self, link: UpstreamLink) -> None:
        """Bring the link to where nothing but the past is missing."""
        conversation, seconds = link.conversation, self._context.settings.upstream_connect_seconds
        await self._holder.perform(link, conversation.tick(time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                while not (conversation.is_open or conversation.wants_past):
                    await self._hear_one(link)
        except UpstreamClosed:  # it may have said why
            await self._holder.perform(link, conversation.cut("upstream_closed", time.monotonic()))
            _prove(link)
            raise
        except TimeoutError:
            log.error("session %s: the Realtime API confirms nothing within %g s", conversation.session_id, seconds)
            raise UpstreamSilent("it confirms nothing") from None

    async def _fill(self, link: UpstreamLink) -> None:
        """Begin the epoch in the rows, and tell the new conversation what they hold."""
        past = (await self._take_in(link)).past(self.epoch, link.conversation.untold)
        await self._holder.perform(link, link.conversation.remember(past, time.monotonic()))
        async with asyncio.timeout(self._context.settings.upstream_connect_seconds):
            while not link.conversation.is_open:
                await self._hear_one(link)

    async def _take_in(self, link: UpstreamLink) -> HistoryRows:
        """One transaction: the epoch is bumped, every answer there is enters it, and the log is read."""
        await self._holder.settle()
        session_id, gateway_id = self._holder.start.session_id, self._context.gateway_id
        if self._is_fresh:
            first: Any = lifecycle.owned(session_id, gateway_id, self.epoch)
            epoch = self.epoch
        else:
            first = lifecycle.next_epoch(session_id, gateway_id, self.epoch)
            epoch = self.epoch + 1
        rows = await self._context.store.together(
            first,
            items.replay(session_id, gateway_id, epoch),
            items.log_of_messages(session_id),
            items.log_of_calls(session_id),
        )
        if not rows[0]:
            await self._find_epoch(epoch)
        _, _, messages, calls = rows
        self.epoch, link.epoch, self._is_fresh = epoch, epoch, False
        whole = self._context.publisher.row_privacy.whole
        return HistoryRows(messages, [whole(row, session_id) for row in calls])

    async def _find_epoch(self, epoch: int) -> None:
        """The epoch did not begin: others have the session, or it had begun without our hearing of it."""
        start, token = self._holder.start, self._holder.start.resume_token
        statement = lifecycle.owned(start.session_id, self._context.gateway_id, epoch)
        # Its client may have come back to this very gateway: then the epoch is that connection's, and so is the token.
        mine = lifecycle.opens_with(digest(token)) if token else None
        if not await self._context.store.rows(statement if mine is None else statement.where(mine)):
            raise SessionEnded(SUPERSEDED, "session_superseded")
        self.epoch = epoch
        raise TimeoutError("nobody heard that the epoch began: another one follows it")

    async def _hear_one(self, link: UpstreamLink, within: float | None = None) -> None:
        """Take in the next event, or that so much time has passed without one."""
        wake_at = link.conversation.wake_at(time.monotonic())
        waits = [each for each in (within, wake_at and wake_at - time.monotonic()) if each is not None]
        frame = None
        try:
            async with asyncio.timeout(max(0.0, min(waits)) if waits else None):
                frame = await link.upstream.receive()
        except TimeoutError:
            await self._holder.perform(link, link.conversation.tick(time.monotonic()))
        event = None if frame is None else self._holder.understood(frame)
        if event is not None:
            await self._holder.perform(link, link.conversation.receive_model(event, time.monotonic()))
        _prove(link)

    async def _hand_over(self, link: UpstreamLink, reason: str | None) -> None:
        link.opened_at = time.monotonic()
        await self._holder.let_go(link, reason)

    def note_expiry(self, link: UpstreamLink, let_in: LetClientIn) -> None:
        """When this link is to be left, by what the Realtime API says of its end."""
        left, now = lifetime(let_in.expires_at, time.time()), time.monotonic()
        if left is None:
            if let_in.expires_at:
                words = (
                    "session %s: the Realtime API says that it ends at %.16g, which cannot be: its end is waited for"
                )
                log.warning(words, link.conversation.session_id, let_in.expires_at)
            return
        link.expires_at = now + left
        before = min(self._context.settings.rotate_before_seconds, left / 2)
        earliest = now if self._moved_at is None else self._moved_at + ROTATE_LEAST_SECONDS
        link.rotates_at = max(link.expires_at - before, earliest)


def _prove(link: UpstreamLink) -> None:
    if link.why_closed is not None:
        raise UpstreamBusy(link.why_closed)


def _is_due(link: UpstreamLink) -> bool:
    return link.rotates_at is not None and link.rotates_at <= time.monotonic()


def _in_words(problem: BaseException) -> str:
    return f"{type(problem).__name__} {problem}".strip()[:200]
