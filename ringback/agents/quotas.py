"""Quotas of a tenant and each of its users: over all gateways together, and for a day (UTC).

If a tenant's row (`tenants.allowances`) leaves a quota out, the gateways' settings apply; None: no limit.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_SESSIONS = 1_000_000
"""More than all gateways hold; Postgres compares it as an integer of 32 bits."""
MOST_TOKENS = 1_000_000_000_000
"""More than a day can use; Postgres adds them up as integers of 64 bits."""
MOST_DOLLARS = 1_000_000_000
"""The same for money, which is counted in millionths of a dollar. It excludes infinity, which is no limit."""

Sessions = Annotated[int, Field(ge=0, le=MOST_SESSIONS)]
Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Dollars = Annotated[float, Field(ge=0, le=MOST_DOLLARS)]


class Quotas(BaseModel):
    """Quotas. Money is in US dollars; tokens are the Realtime API's count (`response.done`, `usage`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sessions: Sessions | None = None
    """Sessions of the tenant at once."""
    sessions_per_user: Sessions | None = None
    tokens_per_day: Tokens | None = None
    tokens_per_user_per_day: Tokens | None = None
    cost_per_day: Dollars | None = None
    cost_per_user_per_day: Dollars | None = None

    def over(self, defaults: Quotas) -> Quotas:
        """Return these quotas, filled up from the defaults. A quota that is explicitly null means no limit."""
        return defaults.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})
