"""The guards of what may be used: places, budgets, prices and pace."""

from __future__ import annotations

from tests.mutation.mutant import gone

PLACES, USAGE = "ringback/statements/sessions/session_quota.py", "ringback/statements/usage.py"
BUDGETS, PRICES, RATES = "ringback/usage/budgets.py", "ringback/usage/prices.py", "gateway/session/rate_limit.py"
BUDGETS_OF_GATEWAY, SESSION_USAGE, SEMAPHORE = (
    "gateway/budgets/budgets.py",
    "gateway/budgets/session_usage.py",
    "gateway/bounded_semaphore.py",
)

T_PLACES, T_USAGE = "tests/integration/budgets/test_session_quota.py", "tests/integration/budgets/test_usage.py"
T_LEFT, T_CLI = "tests/integration/budgets/test_budgets.py", "tests/integration/cli/test_usage.py"
T_PRICES, T_BUDGETS = "tests/unit/ringback/usage/test_prices.py", "tests/unit/ringback/usage/test_budgets.py"
T_RATES, T_TURNS = (
    "tests/unit/gateway/session/test_rate_limit.py",
    "tests/unit/gateway/test_bounded_semaphore.py",
)

BUDGET_GUARDS = [
    gone("session quota: one opens at a time", T_PLACES, PLACES, "func.pg_advisory_xact_lock"),
    gone("session quota: no session opens above it", T_PLACES, PLACES, ".where(*fits)"),
    gone("session quota: of this tenant", T_PLACES, PLACES, "sessions.c.tenant == tenant, "),
    gone("session quota: sessions that are over do not count", T_PLACES, PLACES, ', sessions.c.state != "ended"'),
    gone("session quota: an existing session is open", T_PLACES, PLACES, " | was_open"),
    gone("session quota: a secret that is used up opens none", T_PLACES, PLACES, ".select_from(is_spent)"),
    gone("session quota: only a call's row does not wait for the disk", T_PLACES, PLACES, "if lazy:", "if True:"),
    gone(
        "session quota: who finds no place keeps the secret",
        T_PLACES,
        BUDGETS_OF_GATEWAY,
        "await self._store.rows(credentials.return_secret(principal.spends, principal.visit))",
        "pass",
    ),
    gone("usage: a response counts once", T_USAGE, USAGE, ".on_conflict_do_nothing()"),
    gone(
        "usage: what cannot be written now is written later",
        T_USAGE,
        BUDGETS_OF_GATEWAY,
        "            self.enqueue(*rows)\n",
    ),
    gone(
        "usage: a response without an end counts",
        T_USAGE,
        SESSION_USAGE,
        "if epoch is None or begun < epoch",
        "if False",
    ),
    gone(
        "usage: a tenant's own",
        T_CLI,
        USAGE,
        "usage_days.c.tenant == tenant, usage_days.c.day.between",
        "usage_days.c.day.between",
    ),
    gone(
        "budgets: of a tenant that had none lately",
        T_LEFT,
        BUDGETS_OF_GATEWAY,
        "monotonic() >= until or bool(",
        "bool(",
    ),
    gone("budgets: today's", T_LEFT, USAGE, ", usage_days.c.day == day"),
    gone("budgets: a user's own", T_LEFT, USAGE, "_today(and_(mine, ours)", "_today(mine"),
    gone(
        "budgets: the last of it is not left",
        T_BUDGETS,
        BUDGETS,
        "used.tokens >= self.tokens",
        "used.tokens > self.tokens",
    ),
    gone(
        "budgets: a model without a price has none", T_LEFT, BUDGETS_OF_GATEWAY, "costs_count(limits) and", "False and"
    ),
    gone(
        "prices: what was cached is no other input", T_PRICES, PRICES, 'kinds["text"] - cached["text"]', 'kinds["text"]'
    ),
    gone(
        "prices: what is not understood counts",
        T_PRICES,
        PRICES,
        'max(0, _tokens(usage, "input_tokens") - sum(kinds.values()))',
        "0",
    ),
    gone("rate limit: what is above it waits", T_RATES, RATES, "wait = waits[what]", "wait = 0.0"),
    gone("rate limit: a client is not slowed down for ever", T_RATES, RATES, "> self._throttled_seconds", "> 10**9"),
    gone(
        "rate limit: what is above it does not pass",
        T_RATES,
        RATES,
        "            return False",
        "            pass",
    ),
    gone("semaphore: its queue is bounded", T_TURNS, SEMAPHORE, "raise Overloaded", "pass"),
]
