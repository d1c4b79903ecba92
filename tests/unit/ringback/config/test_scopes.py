"""Scopes that a user lacks."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.config.scopes import missing


@pytest.mark.parametrize(
    ("needed", "claims", "lacking"),
    [
        ((), {}, ()),
        ((), {"scopes": None}, ()),
        (("a",), {"scopes": ["a"]}, ()),
        (("a",), {"scopes": ("a", "b")}, ()),
        (("b", "a"), {"scopes": ["c"]}, ("a", "b")),
        (("a", "a"), {}, ("a",)),
        (("a",), {"scope": ["a"]}, ("a",)),
        (("orders:write",), {"scopes": ["orders"]}, ("orders:write",)),
        (("orders",), {"scopes": ["orders:write"]}, ("orders",)),
        (("a",), {"scopes": ["A"]}, ("a",)),
        (("a",), {"scopes": ["*"]}, ("a",)),
        (("a",), {"scopes": "a"}, ("a",)),
        (("a",), {"scopes": {"a": True}}, ("a",)),
        (("a",), {"scopes": [["a"], 1, None]}, ("a",)),
        (("a",), {"scopes": True}, ("a",)),
    ],
)
def test_what_is_not_held_word_for_word_in_a_list_is_missing(
    needed: tuple[str, ...], claims: dict[str, Any], lacking: tuple[str, ...]
) -> None:
    assert missing(needed, claims) == lacking
