"""Budgets of sessions, tokens and money, over all gateways together: what is used, and whether anything is left.

The gateway checks before the upgrade whether a session may begin, and as each response begins whether anything is left
for it. So each session overdraws by one response at most. What a response has used waits here until it is written: a
Postgres that is away, and a client that hangs up early, lose none of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from time import monotonic
from uuid import UUID

import psycopg
from pydantic import ValidationError

from gateway.auth.authenticator import NOT_KNOWN, Principal
from gateway.bounded_semaphore import BoundedSemaphore, Overloaded
from gateway.errors import QUOTA, AuthenticationError, LimitReached, Unavailable
from gateway.retry import until_done
from gateway.settings import GatewaySettings
from gateway.storage.database import Store
from ringback.agents.agent import Agent
from ringback.agents.quotas import Quotas
from ringback.errors import ConfigurationError
from ringback.postgres.statement import Bound
from ringback.statements import usage as statements
from ringback.statements.identity import credentials
from ringback.statements.sessions import session_quota
from ringback.statements.sessions.session_quota import Limits
from ringback.statements.usage import ResponseUsage
from ringback.usage.budgets import Budget, Used, budgets, costs_count
from ringback.usage.prices import Prices, Usage, load_prices

log = logging.getLogger(__name__)

QUOTAS_SECONDS = 5.0
"""For how long a tenant's quotas are cached: a change holds within seconds, and most checks need no round trip."""
MAX_TENANTS = 10_000
"""Tenants whose quotas are cached at once; beyond it the cache is emptied, which costs one look-up each."""
MAX_WAITING = 10_000
"""Responses that wait for a Postgres that is away: minutes of a full gateway. Beyond it the oldest are lost."""
GATHER_SECONDS = 0.25
"""How long the usage of a response waits for that of others, so that one statement writes all of it. Where a budget
holds, it does not wait."""
AT_ONCE = 500
"""Responses of one statement: after an outage what has gathered is written in steps."""
AGAIN_SECONDS = 1.0
"""Between attempts to write the rows that wait."""
LAST_SECONDS = 2.0
"""For the rows that still wait when the gateway ends."""
PLACE_AGAIN_SECONDS = 5
"""When a client that found no place may ask again: about as long as the end of a session takes to be known."""
OPENINGS_AT_ONCE = 4
"""Sessions that are about to begin and ask Postgres at once: most of ten connections are for the live sessions."""
OPENINGS_IN_LINE = 100
"""Sessions that wait for that, half a second at most; one more is told to come later."""
NOT_LOOKED_UP = (-inf, Quotas())
"""Stands in for what is known of a tenant's quotas, and until when."""
UNIQUE_VIOLATION = "23505"
"""PostgreSQL, Appendix A."""
MAX_ID = 200
"""Characters of a response's id, or of its status, that are kept."""
SHIPPED = Path(__file__).with_name("prices.toml")
"""The price table that comes with Ringback."""


CROWDED = "Too many sessions are about to begin here. Try again in a moment."


class Budgets:
    """Budgets as this process checks them; their rows are shared by all gateways.

    Args:
        defaults: the quotas for what a tenant's row does not say.
    """

    def __init__(self, store: Store, prices: Prices, defaults: Quotas) -> None:
        self._store = store
        self._prices = prices
        self._defaults = defaults
        self._known: dict[str, tuple[float, Quotas]] = {}
        self._waiting: deque[ResponseUsage] = deque(maxlen=MAX_WAITING)
        self._any_waits = asyncio.Event()
        self._writing = asyncio.Lock()
        self._openings = BoundedSemaphore(OPENINGS_AT_ONCE, OPENINGS_IN_LINE)

    async def check_quota(self, principal: Principal, agent: Agent, model: str) -> None:
        """Check that the principal has something left for a session with this model.

        Raises:
            LimitReached, Unavailable: nothing is left, or the gateway cannot say.
            psycopg.Error, OSError: Postgres does not answer.
        """
        try:
            async with self._openings:
                await self._check_quota(principal, agent, model)
        except Overloaded:
            raise Unavailable(CROWDED) from None

    async def _check_quota(self, principal: Principal, agent: Agent, model: str) -> None:
        limits = budgets(agent, await self._quotas(principal.tenant))
        if costs_count(limits) and self._prices.of(model) is None:
            log.error("model without a price: %s, agent %s limits a cost; session refused", model, agent.name)
            raise Unavailable(f"The model of agent {agent.name} has no price here.", code="model_without_price")
        why = await self._exceeded_reason(None, principal, [limit for limit in limits if limit.whose != "session"])
        if why is not None:
            raise LimitReached(why, code=QUOTA, retry_after=_until_tomorrow())

    async def open_session(self, opening: Bound, principal: Principal, *, lazy: bool = False) -> None:
        """Write the session's row (`sessions.open_session`) if there is a place for it, and use up its client secret.

        Of any number that come at once, on one gateway or on several, no more than the limit get in. A client that is
        refused keeps its secret.

        Args:
            lazy: the commit does not wait for the disk: for a session that is nothing before a later commit.

        Raises:
            AuthenticationError: the secret was used up or voided meanwhile.
            LimitReached, Unavailable: there is no place.
            psycopg.Error, OSError: Postgres does not answer.
        """
        try:
            async with self._openings:
                await self._take_place(opening, principal, lazy)
        except Overloaded:
            raise Unavailable(CROWDED) from None

    async def _take_place(self, opening: Bound, principal: Principal, lazy: bool) -> None:
        allowed = await self._quotas(principal.tenant)
        limits = Limits(of_tenant=allowed.sessions, of_user=allowed.sessions_per_user)
        if not limits.set():
            await self._spend(principal)
            try:
                await self._store.count(opening)
            except psycopg.IntegrityError as problem:
                # Its id is new: if it was run again, because its answer was lost, it finds the row of its first run.
                if problem.sqlstate != UNIQUE_VIOLATION:
                    raise
            return
        lock = session_quota.lock_quota(opening, limits, secret_id=principal.spends, visit=principal.visit, lazy=lazy)
        found, *opened = await self._store.together(lock, session_quota.open_within(opening, limits))
        if found and opened[0][0].is_open:
            return
        if not found:
            await self._spend(principal)  # or it is the secret that is missing
        if principal.spends is not None:
            await self._store.rows(credentials.return_secret(principal.spends, principal.visit))
        (row,) = await self._store.rows(session_quota.count_sessions(principal.tenant, principal.user, limits))
        if "of_user" in limits.full(row):
            sentence = f"You have {row.of_user} sessions, as many as you may have at once. End one, or try later."
        else:
            sentence = "There are as many sessions as there may be at once. Try again later."
        raise LimitReached(sentence, code="too_many_sessions", retry_after=PLACE_AGAIN_SECONDS)

    async def _spend(self, principal: Principal) -> None:
        """Use up the principal's client secret, if it has one; raise AuthenticationError if that cannot be."""
        if principal.spends is None:
            return
        if not await self._store.rows(credentials.spend_secret(principal.spends, principal.visit)):
            raise AuthenticationError(NOT_KNOWN)

    async def settle(self) -> None:
        """Write the rows that wait, for as long as the gateway runs."""
        while True:
            await self._any_waits.wait()
            await asyncio.sleep(GATHER_SECONDS)
            await until_done(self._write_waiting, AGAIN_SECONDS)

    async def close(self) -> None:
        """Try for the last time to write the rows that wait."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                while self._waiting and await self._write_waiting():
                    pass
        except TimeoutError:
            pass
        if self._waiting:
            log.error("usage lost: %d responses, as Postgres was away until the end", len(self._waiting))

    def enqueue(self, *rows: ResponseUsage) -> None:
        """Have these rows written soon, in one statement with others; `exceeded_reason` writes them at once. If a row
        is there already, writing it has no effect.
        """
        if len(self._waiting) + len(rows) > MAX_WAITING:
            log.error("usage lost: the oldest responses that wait, as Postgres has been away for too long")
        self._waiting.extend(rows)
        self._any_waits.set()

    def usage_row(
        self, session_id: UUID, response_id: str, epoch: int, status: str, used: Usage, model: str
    ) -> ResponseUsage:
        """Return the row of a response."""
        micros = self._prices.micros(model, used)
        return ResponseUsage(session_id, clean(response_id), epoch, clean(status), used, micros)

    def may_limit(self, principal: Principal, agent: Agent) -> bool:
        """Return False if it is known without a round trip that no budget holds."""
        until, known = self._known.get(principal.tenant, NOT_LOOKED_UP)
        return monotonic() >= until or bool(budgets(agent, known))

    async def exceeded_reason(self, session_id: UUID, principal: Principal, agent: Agent) -> str | None:
        """Return a sentence if a budget is used up; None if none is, or Postgres does not say.

        What waits to be written is written first, so that it counts.
        """
        try:
            limits = budgets(agent, await self._quotas(principal.tenant))
            if not limits or not await self._write_waiting():
                return None
            return await self._exceeded_reason(session_id, principal, limits)
        except (psycopg.Error, OSError) as problem:
            log.warning("budget check failed: session %s (%s); it goes on", session_id, type(problem).__name__)
            return None

    async def _exceeded_reason(
        self, session_id: UUID | None, principal: Principal, limits: Collection[Budget]
    ) -> str | None:
        if not limits:
            return None
        whose = frozenset(limit.whose for limit in limits)
        (row,) = await self._store.rows(statements.usage_so_far(session_id, principal.tenant, principal.user, whose))
        sums = row._asdict()
        used = {each: Used(sums[f"{each}_tokens"], sums[f"{each}_micros"]) for each in whose}
        return next(filter(None, (limit.exceeded_reason(used[limit.whose]) for limit in limits)), None)

    async def _quotas(self, tenant: str) -> Quotas:
        until, known = self._known.get(tenant, NOT_LOOKED_UP)
        if monotonic() < until:
            return known
        rows = await self._store.rows(statements.allowances_of(tenant))
        try:
            own = Quotas.model_validate(rows[0].allowances) if rows else Quotas()
        except ValidationError as problem:
            log.error("tenant quotas unusable: %s, the defaults hold: %s", tenant, problem.errors()[0])
            own = Quotas()
        if len(self._known) >= MAX_TENANTS:
            self._known.clear()
        self._known[tenant] = monotonic() + QUOTAS_SECONDS, own.over(self._defaults)
        return self._known[tenant][1]

    async def _write_waiting(self) -> bool:
        """Write the rows that wait by now, oldest first. Return False if Postgres is away.

        What comes meanwhile waits for the next time, or a busy gateway would write all the time, a few rows each.
        """
        async with self._writing:  # a budget is not asked before another task has written what that task took
            self._any_waits.clear()
            left = len(self._waiting)
            while left:
                rows = [self._waiting.popleft() for _ in range(min(AT_ONCE, left))]
                if not await self._write(rows):
                    return False
                left -= len(rows)
        return True

    async def _write(self, rows: Sequence[ResponseUsage]) -> bool:
        """Write these rows now, or when Postgres is back, even if the caller is cancelled.

        Return False if they are not written yet.
        """
        try:
            await self._store.count(statements.record(rows))
        except (psycopg.DataError, psycopg.IntegrityError):
            if len(rows) > 1:
                return all([await self._write([row]) for row in rows])
            log.exception("usage lost: Postgres refuses the row of a response, and will again")
        except (psycopg.Error, OSError, asyncio.CancelledError) as problem:
            self.enqueue(*rows)
            if isinstance(problem, asyncio.CancelledError):
                raise
            return False
        return True


def price_table(own: Path | None) -> Prices:
    """Return the shipped prices, and over them those of the operator's file.

    Raises:
        ConfigurationError: the file cannot be used; the text says why.
    """
    shipped = load_prices(SHIPPED)
    return shipped if own is None else shipped.under(load_prices(own))


def model_of(settings: GatewaySettings, agent: Agent) -> str:
    """Return the model that an agent's sessions really use, and which is paid for."""
    return settings.realtime_model or agent.model


def prices_for(settings: GatewaySettings, agents: Iterable[Agent]) -> Prices:
    """Return the price table, which has the model of each agent whose cost is limited.

    Raises:
        ConfigurationError: a model is missing, so its sessions would count as free.
    """
    prices = price_table(settings.prices)
    for agent in agents:
        model = model_of(settings, agent)
        if costs_count(budgets(agent, settings.allowances)) and prices.of(model) is None:
            raise ConfigurationError(
                f"agent {agent.name}: a cost is limited, and {model} has no price: add it to the file that "
                "RINGBACK_PRICES names"
            )
    return prices


def clean(name: str) -> str:
    """Return a name of the Realtime API's as Postgres takes it."""
    kept = name[:MAX_ID]
    return kept if kept.isprintable() else "".join(filter(str.isprintable, kept))


def _until_tomorrow() -> int:
    """Return the seconds until the next day of UTC."""
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return max(1, int((midnight - now).total_seconds()))
