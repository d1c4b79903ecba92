"""How a session gets its upstream conversation, and the next one when that ends.

An epoch begins in two steps. *Dialling* takes a connection to the point where our instructions and tools are in force;
it touches no row, and takes as long as the Realtime API takes. *Filling* bumps the session's epoch, takes in what the
rows hold, both in one transaction, and tells it to the new conversation: milliseconds, and a round trip.

    the connection is lost    dial, with backoff and jitter, until one can be filled or the time for it is up
    it will expire soon       dial while the old one goes on; fill when nobody speaks; then close the old one

From the moment an epoch begins whatever an older one still does finds another number in the row, and is refused.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from gateway.backoff import pauses
from gateway.conversation import Conversation
from gateway.conversation.actions import LetClientIn
from gateway.conversation.carried import Carried
from gateway.conversation.rebuild import Replayed
from gateway.endings import SUPERSEDED
from gateway.line import Holder, Line, Link, Over
from gateway.resuming import digest
from gateway.upstream import UpstreamClosed, UpstreamRefused, UpstreamSilent, WebSocketUpstream
from ringback.statements import items, sessions

log = logging.getLogger(__name__)

STEADY_SECONDS = 10.0
"""A conversation that held for so long ends a series of failures: the next one has all the time to be mended."""
QUIET_LOOK_SECONDS = 0.25
"""How often a conversation that is to move is asked whether somebody speaks; a pause in a talk lasts longer."""
ROTATE_AGAIN_SECONDS = 5.0
"""After a new connection could not be had in time: the old one is still good."""
PERMANENT = frozenset(set(range(400, 500)) - {408, 425, 429})
"""HTTP statuses of a wrong key, model or URL: it stays wrong. A server that is busy or away may come back."""

EXPIRED_WORDS = "maximum duration"
"""In the close reason of a session that lasted as long as it may; close code 1001 alone means any going away."""
MISHAPS = (UpstreamRefused, UpstreamClosed, SQLAlchemyError, OSError, TimeoutError)
"""What may go wrong on the way to a new epoch, and is tried again."""


class Epochs:
    """The links of one session, one after the other."""

    def __init__(self, line: Line, holder: Holder) -> None:
        self._line = line
        self._holder = holder
        self.switching = asyncio.Lock()
        """Held while one link follows another."""
        self._trouble_since: float | None = None
        self.epoch = holder.beginning.epoch
        """The session's own, as the row has it."""
        self._is_fresh = True
        """Nothing was told to a conversation of this epoch yet."""

    async def begin(self) -> None:
        """The first link of a session here. A resumed one may take some attempts: its client has waited before."""
        beginning = self._holder.beginning
        carried = Carried(has_past=beginning.is_resumed, client_session=dict(beginning.client_session))
        if beginning.is_resumed:
            self._trouble_since = time.monotonic()
            await self._hand_over(await self._insist(carried, "upstream_closed", greets=True), None)
            return
        try:
            link = await self._dial(carried, greets=True)
        except UpstreamClosed as problem:
            raise Over(1011, why_closed(problem)) from None
        self._is_fresh = False
        await self._hand_over(link, None)

    async def begin_again(self, lost: Link, reason: str) -> None:
        """The link is gone: build its conversation anew, or end the session where that cannot be done in time."""
        async with self.switching:
            if self._holder.link is not lost:
                return  # somebody has seen to it
            now = time.monotonic()
            if self._trouble_since is None or now - lost.opened_at > STEADY_SECONDS:
                self._trouble_since = now
            self._holder.hold()
            await self._holder.perform(lost, lost.brain.cut(reason, now))
            if not self._line.settings.upstream_retry_seconds:
                raise Over(1011, reason)
            link = await self._insist(lost.brain.carry(now), reason, greets=False)
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
                    log.warning("session %s cannot move yet: %s", link.brain.session_id, type(problem).__name__)
                    link.rotates_at = time.monotonic() + ROTATE_AGAIN_SECONDS

    async def _rotate(self, old: Link) -> None:
        fresh = await self._dial(old.brain.carry(time.monotonic()), greets=False)
        try:
            while not old.brain.is_quiet(time.monotonic()):
                if self._holder.link is not old:
                    return
                await asyncio.sleep(QUIET_LOOK_SECONDS)
            async with self.switching:
                if self._holder.link is not old:
                    return
                await self._move(old, fresh)
        finally:
            await (old if self._holder.link is fresh else fresh).upstream.close()

    async def _move(self, old: Link, fresh: Link) -> None:
        self._holder.hold()
        try:
            # It may have heard a turn since the new one was dialled, or begun one just now.
            await self._holder.perform(old, old.brain.cut("rotated", time.monotonic()))
            fresh.brain.take_over(old.brain.carry(time.monotonic()))
            await self._fill(fresh)
        except BaseException:
            # The old one's epoch is over, or will be by the next attempt: it is mended like one that was lost.
            old.why_closed = "rotated"
            old.upstream.abort()
            raise
        await self._hand_over(fresh, "rotated")

    async def _insist(self, carried: Carried, reason: str, *, greets: bool) -> Link:
        assert self._trouble_since is not None  # noqa: S101
        give_up = self._trouble_since + self._line.settings.upstream_retry_seconds
        for pause in pauses(random.random):
            await asyncio.sleep(pause)
            link = None
            try:
                link = await self._dial(carried, greets=greets)
                await self._fill(link)
            except MISHAPS as problem:
                if link is not None:
                    carried = link.brain.carry(time.monotonic())
                    await link.upstream.close()
                self._give_up_if(problem, give_up, reason)
                continue
            except BaseException:  # nobody else knows of this connection yet
                if link is not None:
                    link.upstream.abort()
                raise
            return link
        raise AssertionError("pauses do not end")

    def _give_up_if(self, problem: BaseException, give_up: float, reason: str) -> None:
        log.warning("session %s: %s; %s", self._holder.beginning.session_id, reason, _in_words(problem))
        if isinstance(problem, UpstreamRefused) and problem.status in PERMANENT:
            raise Over(1011, "upstream_refused") from None
        if time.monotonic() > give_up:
            raise Over(1011, reason) from None

    async def _dial(self, carried: Carried, *, greets: bool) -> Link:
        """A connection on which nothing but the past is missing."""
        beginning, seconds = self._holder.beginning, self._line.settings.upstream_connect_seconds
        upstream = await WebSocketUpstream.open(beginning.target, seconds)
        epoch = self.epoch if self._is_fresh else self.epoch + 1
        brain = Conversation(
            beginning.session_id,
            beginning.agent,
            beginning.tools,
            epoch=epoch,
            carried=carried,
            wants=beginning.asks,
            policy=beginning.policy,
            began_at=beginning.began_at,
            waits=self._line.queues.wait_seconds,
            greets=greets,
        )
        link = Link(epoch, upstream, brain)
        try:
            async with asyncio.timeout(seconds):
                while not (brain.is_open or brain.wants_past):
                    await self._hear_one(link)
        except BaseException as problem:
            await upstream.close()
            if isinstance(problem, TimeoutError):
                log.error("session %s: the Realtime API confirms nothing within %g s", brain.session_id, seconds)
                raise UpstreamSilent("it confirms nothing") from None
            raise
        return link

    async def _fill(self, link: Link) -> None:
        """Begin the epoch in the rows, and tell the new conversation what they hold."""
        past = (await self._take_in(link)).past(self.epoch, link.brain.untold)
        await self._holder.perform(link, link.brain.remember(past, time.monotonic()))
        async with asyncio.timeout(self._line.settings.upstream_connect_seconds):
            while not link.brain.is_open:
                await self._hear_one(link)

    async def _take_in(self, link: Link) -> Replayed:
        """One transaction: the epoch is bumped, every answer there is enters it, and the log is read."""
        await self._holder.settle()
        session_id, gateway_id = self._holder.beginning.session_id, self._line.gateway_id
        if self._is_fresh:
            first: Any = sessions.owned(session_id, gateway_id, self.epoch)
            epoch = self.epoch
        else:
            first = sessions.next_epoch(session_id, gateway_id, self.epoch)
            epoch = self.epoch + 1
        rows = await self._line.store.together(
            first,
            items.replay(session_id, gateway_id, epoch),
            items.log_of_messages(session_id),
            items.log_of_calls(session_id),
        )
        if not rows[0]:
            await self._find_epoch(epoch)
        _, _, messages, calls = rows
        self.epoch, link.epoch, self._is_fresh = epoch, epoch, False
        whole = self._line.dispatch.discretion.whole
        return Replayed(messages, [whole(row, session_id) for row in calls])

    async def _find_epoch(self, epoch: int) -> None:
        """The epoch did not begin: others have the session, or it had begun without our hearing of it."""
        beginning, token = self._holder.beginning, self._holder.beginning.resume_token
        statement = sessions.owned(beginning.session_id, self._line.gateway_id, epoch)
        # Its client may have come back to this very gateway: then the epoch is that connection's, and so is the token.
        mine = sessions.opens_with(digest(token)) if token else None
        if not await self._line.store.rows(statement if mine is None else statement.where(mine)):
            raise Over(SUPERSEDED, "session_superseded")
        self.epoch = epoch
        raise TimeoutError("nobody heard that the epoch began: another one follows it")

    async def _hear_one(self, link: Link) -> None:
        event = self._holder.understood(await link.upstream.receive())
        if event is not None:
            await self._holder.perform(link, link.brain.receive_model(event, time.monotonic()))

    async def _hand_over(self, link: Link, reason: str | None) -> None:
        link.opened_at = time.monotonic()
        await self._holder.let_go(link, reason)

    def note_expiry(self, link: Link, let_in: LetClientIn) -> None:
        """When this link is to be left, by what the Realtime API says of its end."""
        if let_in.expires_at is None:
            return
        lifetime = let_in.expires_at - time.time()
        before = min(self._line.settings.rotate_before_seconds, lifetime / 2)
        link.rotates_at = time.monotonic() + lifetime - before


def why_closed(problem: UpstreamClosed, *, is_expired: bool = False) -> str:
    """The reason, for the history and for a client: its longest duration, or any other going away."""
    return "session_expired" if is_expired or EXPIRED_WORDS in str(problem) else "upstream_closed"


def _is_due(link: Link) -> bool:
    return link.rotates_at is not None and link.rotates_at <= time.monotonic()


def _in_words(problem: BaseException) -> str:
    return f"{type(problem).__name__} {problem}".strip()[:200]
