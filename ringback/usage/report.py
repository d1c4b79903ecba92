"""Usage reports: queries and answers, summed up by day, user, agent or model. Days are UTC's.

The sums are kept up as each response ends, so a query counts no responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ringback.history.pagination import DEFAULT_LIMIT, MAX_LIMIT, Name, Query
from ringback.usage.budgets import MICROS

DEFAULT_DAYS = 30
"""Days of a report without a `from`: today and those before it."""
MAX_DAYS = 366
"""Most days of one report: a year, whose sums are thousands of rows and not millions."""

By = Literal["day", "user", "agent", "model"]


class UsageQuery(Query):
    """Query of a report: which days, and by what they are summed up."""

    from_: date | None = Field(None, alias="from", description="a day such as 2026-01-31")
    to: date | None = Field(None, description="a day such as 2026-01-31")
    group_by: By = Field("day", description="day, user, agent or model")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description=f"a whole number from 1 to {MAX_LIMIT}")
    after: Name | None = Field(None, description="the `next` of the page before")

    _today: date = PrivateAttr(default_factory=lambda: datetime.now(UTC).date())

    @property
    def last(self) -> date:
        """Return the last day, which counts."""
        return self.to or self._today

    @property
    def first(self) -> date:
        """Return the first day."""
        return self.from_ or self.last - timedelta(days=DEFAULT_DAYS - 1)

    def why_not(self) -> tuple[str, str] | None:
        """Return the wrong parameter and a sentence if the parameters do not go together."""
        if self.first > self.last:
            return "from", f"from must not be after to: {self.first} is after {self.last}."
        if (self.last - self.first).days >= MAX_DAYS:
            return "from", f"from and to must not be more than {MAX_DAYS} days apart: ask for less at once."
        if self.group_by == "day" and self.after is not None and not _is_day(self.after):
            return "after", "after must be the `next` of the page before."
        return None


class Sums(BaseModel):
    """Sums over responses. `cost` is in US dollars; a response without a price is not in it."""

    responses: int
    input_tokens: int
    output_tokens: int
    cost: float


class Group(Sums):
    """Sums of one day, user, agent or model: `key` says which. An erased user's key is empty."""

    key: str


class UsagePage(BaseModel):
    """Page of the groups, and the total of all of them. Days come newest first, names in their order."""

    model_config = ConfigDict(serialize_by_alias=True)

    object: Literal["list"] = "list"
    group_by: By
    from_: date = Field(serialization_alias="from")
    to: date
    total: Sums
    data: list[Group]
    has_more: bool
    next: str | None


def page(query: UsageQuery, rows: Sequence[Any]) -> UsagePage:
    """Return the page, from the rows of `statements.usage.groups`: the total, and one more than the page holds."""
    total, *groups = rows
    shown = [Group(key=str(row.key), **_sums(row)) for row in groups[: query.limit]]
    more = len(groups) > query.limit
    return UsagePage(
        group_by=query.group_by,
        from_=query.first,
        to=query.last,
        total=Sums(**_sums(total)),
        data=shown,
        has_more=more,
        next=shown[-1].key if more else None,
    )


def _sums(row: Any) -> dict[str, Any]:
    return {
        "responses": row.responses,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": row.micros / MICROS,
    }


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
