"""Behavior and limits on their way through a row, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringback.tools.behavior import Audience, Late, Limits, OnBargeIn, OnDuplicate, ToolBehavior

EVERY_MANNER = ToolBehavior(
    say_after=2.5,
    say="One moment.",
    say_every=8,
    on_barge_in=OnBargeIn.CANCEL,
    late=Late.SILENT,
    drop_after=90,
    on_duplicate=OnDuplicate.REJECT,
    cancellable=False,
    requires_approval=True,
    approval_seconds=20,
    audience=Audience.CLIENT,
)
EVERY_LIMIT = Limits(concurrency=4, rate=0.5, burst=3, breaker_failures=5, breaker_seconds=60, backoff=2)


def through_a_row(data: dict[str, Any]) -> Any:
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("said", [ToolBehavior(), EVERY_MANNER])
def test_manners_come_back_from_a_row_as_they_were(said: ToolBehavior) -> None:
    back = ToolBehavior.from_data(through_a_row(said.as_data()))
    assert back == said
    assert isinstance(back.on_barge_in, OnBargeIn)
    assert isinstance(back.late, Late)
    assert isinstance(back.on_duplicate, OnDuplicate)
    assert isinstance(back.audience, Audience)


@pytest.mark.parametrize("said", [Limits(), EVERY_LIMIT])
def test_limits_come_back_from_a_row_as_they_were(said: Limits) -> None:
    assert Limits.from_data(through_a_row(said.as_data())) == said


def test_what_a_newer_version_knows_is_left_out() -> None:
    assert ToolBehavior.from_data({**EVERY_MANNER.as_data(), "mood": "sunny"}) == EVERY_MANNER
    assert Limits.from_data({**EVERY_LIMIT.as_data(), "weight": 3}) == EVERY_LIMIT


def test_what_an_older_version_did_not_know_is_as_if_nothing_were_said() -> None:
    assert ToolBehavior.from_data({}) == ToolBehavior()
    assert Limits.from_data({}) == Limits()


@pytest.mark.parametrize(
    ("limits", "is_gated"),
    [
        (Limits(), False),
        (Limits(burst=3, backoff=2, breaker_seconds=9), False),
        (Limits(concurrency=1), True),
        (Limits(rate=0.5), True),
        (Limits(breaker_failures=1), True),
    ],
)
def test_a_worker_asks_first_where_something_bounds_the_tool(limits: Limits, is_gated: bool) -> None:
    assert limits.is_gated is is_gated
