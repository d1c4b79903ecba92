"""What a provider's servers tell in more than one way is read in the way that it can be meant."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.upstream.quirks import LONGEST_SECONDS, Quirks, lifetime

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("expires_at", "seconds"),
    [
        (NOW + 3_600, 3_600),
        ((NOW + 3_600) * 1_000, 3_600),
        (1_800, 1_800),
        (0.5, 0.5),
        (None, None),
        (0, None),
        (-60, None),
        (NOW - 60, None),
        (NOW, None),
        (NOW + LONGEST_SECONDS + 1, None),
        (float(2**53), None),
    ],
)
def test_the_end_of_a_session_is_read_in_the_unit_in_which_it_can_be_meant(
    expires_at: float | None, seconds: float | None
) -> None:
    assert lifetime(expires_at, NOW) == seconds


@pytest.mark.parametrize(
    "shown",
    [{"type": "function", "name": "look_up"}, {"type": "function", "function": {"name": "look_up"}}],
    ids=["at the top", "nested"],
)
def test_the_name_of_a_tool_is_read_wherever_a_server_shows_it(shown: dict[str, Any]) -> None:
    assert Quirks().tool_name(shown) == "look_up"
