"""How much a tenant and each of its users may use: over all gateways together, and for a day (UTC).

What a tenant's own row (`tenants.allowances`) leaves out is what the gateways' settings say; None: no limit.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_SESSIONS = 1_000_000
"""More than all gateways hold; Postgres compares it as an integer of 32 bits."""
MOST_TOKENS = 1_000_000_000_000
"""More than a day can use; Postgres adds them up as integers of 64 bits."""
MOST_DOLLARS = 1_000_000_000
"""The same for money, which is counted in millionths of a dollar. It leaves out infinity, which is no limit."""

Sessions = Annotated[int, Field(ge=0, le=MOST_SESSIONS)]
Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
Dollars = Annotated[float, Field(ge=0, le=MOST_DOLLARS)]


class Quotas(BaseModel):
    """Money is in US dollars, tokens are the Realtime API's own count (`response.done`, `usage`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sessions: Sessions | None = None
    """Sessions of the tenant at once."""
    sessions_per_user: Sessions | None = None
    tokens_per_day: Tokens | None = None
    tokens_per_user_per_day: Tokens | None = None
    cost_per_day: Dollars | None = None
    cost_per_user_per_day: Dollars | None = None

    def over(self, defaults: Quotas) -> Quotas:
        """These, and where they say nothing the defaults; a value that was set to null on purpose means no limit."""
        return defaults.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})
