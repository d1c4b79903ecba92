"""What is used, and what is left: places for sessions, tokens and money, over all gateways together.

Whether a session may begin is asked before the upgrade, and whether there is anything left when each response begins;
so what is overdrawn is one response of each session at most. What a response has used is owed to the rows until it is
written: a Postgres that is away, and a client that hangs up at the last word, cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import Insert
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from gateway.auth.authenticator import Principal
from gateway.budgets.bounded_semaphore import BoundedSemaphore, Overloaded
from gateway.budgets.session_usage import SessionUsage
from gateway.storage.database import Store
from ringback.agents.agent import Agent
from ringback.agents.quotas import Quotas
from ringback.statements import usage as statements
from ringback.statements.sessions import session_quota
from ringback.statements.sessions.session_quota import Limits
from ringback.usage.budgets import Budget, Used, budgets, costs_count
from ringback.usage.prices import Prices, Usage

log = logging.getLogger(__name__)

ALLOWANCES_SECONDS = 5.0
"""For how long a tenant's allowances are taken as they were: what is set holds within seconds, and costs no round."""
MAX_TENANTS = 10_000
"""Whose allowances are remembered at once; then all are forgotten, which costs one look each."""
MAX_OWED = 10_000
"""Responses that wait for a Postgres that is away: minutes of a full gateway. The oldest are lost beyond that."""
AGAIN_SECONDS = 1.0
"""Between attempts to write down what is owed."""
LAST_SECONDS = 2.0
"""For what is still owed when the gateway ends."""
PLACE_AGAIN_SECONDS = 5
"""When whoever found no place may ask again: about as long as the end of a session takes to be known."""
OPENINGS_AT_ONCE = 4
"""Sessions that are about to begin and ask Postgres at once: of ten connections, most are for those that are there."""
OPENINGS_IN_LINE = 100
"""Those that wait for that, half a second at most; whoever comes then is told to come later."""
UNIQUE_VIOLATION = "23505"
"""PostgreSQL, Appendix A."""
MAX_ID = 200
"""Characters of a response's id, or of its status, that are kept."""


@dataclass(frozen=True, slots=True)
class QuotaExceeded:
    """No session may begin now: to be told before the upgrade, as HTTP.

    Args:
        retry_after: seconds, for the header; None: asking again does not help.
    """

    status: int
    code: str
    message: str
    retry_after: int | None = None


CROWDED = QuotaExceeded(
    503, "unavailable", "Too many sessions are about to begin here. Try again in a moment.", PLACE_AGAIN_SECONDS
)


class Budgets:
    """The purse of this process; the rows are everybody's.

    Args:
        defaults: what a tenant's own row does not say.
    """

    def __init__(self, store: Store, prices: Prices, defaults: Quotas) -> None:
        self._store = store
        self._prices = prices
        self._defaults = defaults
        self._known: dict[str, tuple[float, Quotas]] = {}
        self._owed: deque[Insert] = deque(maxlen=MAX_OWED)
        self._is_owed = asyncio.Event()
        self._openings = BoundedSemaphore(OPENINGS_AT_ONCE, OPENINGS_IN_LINE)

    async def may_begin(self, principal: Principal, agent: Agent, model: str) -> QuotaExceeded | None:
        """None where the caller has something left for a session with this model.

        Raises:
            SQLAlchemyError, OSError: Postgres does not answer.
        """
        try:
            async with self._openings:
                return await self._why_not(principal, agent, model)
        except Overloaded:
            return CROWDED

    async def _why_not(self, principal: Principal, agent: Agent, model: str) -> QuotaExceeded | None:
        limits = budgets(agent, await self._allowances(principal.tenant))
        if costs_count(limits) and self._prices.of(model) is None:
            log.error("agent %s: a cost is limited, and the price table does not know %s", agent.name, model)
            return QuotaExceeded(503, "model_without_price", f"The model of agent {agent.name} has no price here.")
        spent = await self._why_spent(None, principal, [limit for limit in limits if limit.whose != "session"])
        return None if spent is None else QuotaExceeded(429, "insufficient_quota", spent, _until_tomorrow())

    async def open_session(self, opening: Insert, principal: Principal) -> QuotaExceeded | None:
        """Write down the session (`sessions.open_session`) if there is a place for it; None where there was.

        Of any number that come at once, on whichever gateways, no more than the limit get in.

        Raises:
            SQLAlchemyError, OSError: Postgres does not answer.
        """
        try:
            async with self._openings:
                return await self._take_place(opening, principal)
        except Overloaded:
            return CROWDED

    async def _take_place(self, opening: Insert, principal: Principal) -> QuotaExceeded | None:
        allowed = await self._allowances(principal.tenant)
        limits = Limits(of_tenant=allowed.sessions, of_user=allowed.sessions_per_user)
        if not limits.set():
            try:
                await self._store.count(opening)
            except IntegrityError as problem:
                # Its id is new: run once more, because its answer was lost, it finds its own row.
                if getattr(problem.orig, "sqlstate", None) != UNIQUE_VIOLATION:
                    raise
            return None
        # Without the lock at first: those who find no place must not queue before those who would.
        (row,) = await self._store.rows(session_quota.taken(principal.tenant, principal.user, limits))
        if not limits.full(row):
            lock = session_quota.lock(principal.tenant, principal.user, limits)
            (_, (row,)) = await self._store.together(lock, session_quota.open_within(opening, limits))
            if row.is_open:
                return None
        if "of_user" in limits.full(row):
            sentence = f"You have {row.of_user} sessions, as many as you may have at once. End one, or try later."
        else:
            sentence = "There are as many sessions as there may be at once. Try again later."
        return QuotaExceeded(429, "too_many_sessions", sentence, PLACE_AGAIN_SECONDS)

    def account(self, session_id: UUID, principal: Principal, agent: Agent, model: str) -> SessionUsage:
        """Of one session that begins here, new or resumed."""
        return SessionUsage(self, session_id, principal, agent, model)

    async def settle(self) -> None:
        """Write down what is owed, for as long as the gateway runs."""
        while True:
            await self._is_owed.wait()
            if not await self._pay():
                await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """The last attempt to write down what is owed."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._pay()
        except TimeoutError:
            pass
        if self._owed:
            log.error("what %d responses used is not written down", len(self._owed))

    async def write(self, debt: Insert) -> bool:
        """Write down what a response has used: now, or when Postgres is back, and whatever becomes of the caller.

        False where it is not written yet.
        """
        try:
            await self._store.count(debt)
        except (DataError, IntegrityError):
            log.exception("Postgres refuses what a response used, and always will")
        except (SQLAlchemyError, OSError, asyncio.CancelledError) as problem:
            self.enqueue(debt)
            if isinstance(problem, asyncio.CancelledError):
                raise
            return False
        return True

    def enqueue(self, *debts: Insert) -> None:
        """Write these down soon. One that is written already changes nothing."""
        if len(self._owed) + len(debts) > MAX_OWED:
            log.error("what the oldest responses used is lost: Postgres has been away for too long")
        self._owed.extend(debts)
        self._is_owed.set()

    def debt(self, session_id: UUID, response_id: str, epoch: int, status: str, used: Usage, model: str) -> Insert:
        """The row of a response."""
        micros = self._prices.micros(model, used)
        return statements.record(session_id, clean(response_id), epoch, clean(status), used, micros)

    async def exceeded_reason(self, session_id: UUID, principal: Principal, agent: Agent) -> str | None:
        """A sentence where nothing is left for one more response; None where there is, or where nobody can say."""
        try:
            return await self._why_spent(
                session_id, principal, budgets(agent, await self._allowances(principal.tenant))
            )
        except (SQLAlchemyError, OSError) as problem:
            log.warning("session %s: what is left is not known (%s)", session_id, type(problem).__name__)
            return None

    async def _why_spent(self, session_id: UUID | None, principal: Principal, limits: Collection[Budget]) -> str | None:
        if not limits:
            return None
        whose = frozenset(limit.whose for limit in limits)
        (row,) = await self._store.rows(statements.used(session_id, principal.tenant, principal.user, whose))
        sums = row._mapping
        used = {each: Used(sums[f"{each}_tokens"], sums[f"{each}_micros"]) for each in whose}
        return next(filter(None, (limit.exceeded_reason(used[limit.whose]) for limit in limits)), None)

    async def _allowances(self, tenant: str) -> Quotas:
        until, known = self._known.get(tenant, (0.0, self._defaults))
        if monotonic() < until:
            return known
        rows = await self._store.rows(statements.allowances_of(tenant))
        try:
            own = Quotas.model_validate(rows[0].allowances) if rows else Quotas()
        except ValidationError as problem:
            log.error("the allowances of tenant %s are not usable, the defaults hold: %s", tenant, problem.errors()[0])
            own = Quotas()
        if len(self._known) >= MAX_TENANTS:
            self._known.clear()
        self._known[tenant] = monotonic() + ALLOWANCES_SECONDS, own.over(self._defaults)
        return self._known[tenant][1]

    async def _pay(self) -> bool:
        """Write down what is owed, oldest first; False where Postgres is still away."""
        self._is_owed.clear()
        while self._owed:
            if not await self.write(self._owed.popleft()):
                return False
        return True


def clean(name: str) -> str:
    """A name of the Realtime API's, as Postgres takes it."""
    return "".join(character for character in name[:MAX_ID] if character.isprintable())


def _until_tomorrow() -> int:
    """Seconds until the next day of UTC."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, int((midnight - now).total_seconds()))
