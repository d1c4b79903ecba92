"""How much a tenant and each of its users may use: over all gateways together, and for a day (UTC).

What a tenant's own row (`tenants.allowances`) leaves out is what the gateways' settings say; None: no limit.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Allowances(BaseModel):
    """Money is in US dollars, tokens are the Realtime API's own count (`response.done`, `usage`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sessions: int | None = Field(default=None, ge=0)
    """Sessions of the tenant at once."""
    sessions_per_user: int | None = Field(default=None, ge=0)
    tokens_per_day: int | None = Field(default=None, ge=0)
    tokens_per_user_per_day: int | None = Field(default=None, ge=0)
    cost_per_day: float | None = Field(default=None, ge=0)
    cost_per_user_per_day: float | None = Field(default=None, ge=0)

    def over(self, defaults: Allowances) -> Allowances:
        """These, and where they say nothing the defaults; a value that was set to null on purpose means no limit."""
        return defaults.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})
