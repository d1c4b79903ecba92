"""A client's policy, applied to the fields that it sent: what is kept, and what is left out."""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import lru_cache
from typing import Any, NamedTuple

from gateway.protocol.values import NULL_MEANS_OFF
from ringback.agents.client_policy import SETTABLE, STEERED, ClientPolicy

MAX_LEFT_OUT = 16
"""Of names that a client is told of: it could send thousands."""
MAX_NAME_CHARS = 64

ALSO_OF_RESPONSES = ("instructions", "max_output_tokens", "tool_choice")
"""The session's fields that a client may set for one response, where it may set them for all."""


class FilteredFields(NamedTuple):
    """Dotted names: fields that are the client's as a whole, and groups that hold such fields."""

    fields: frozenset[str]
    groups: frozenset[str]


@lru_cache(maxsize=256)
def of_session(allowed: ClientPolicy) -> FilteredFields:
    """What of a `session.update` is the client's."""
    return _opened((SETTABLE & set(allowed.session)) | ({"tools"} if allowed.brings_tools else frozenset()))


@lru_cache(maxsize=256)
def of_response(allowed: ClientPolicy) -> FilteredFields:
    """What of a `response.create` is the client's."""
    return _opened({*allowed.response, *(set(ALSO_OF_RESPONSES) & set(allowed.session))})


def _opened(fields: Set[str]) -> FilteredFields:
    groups = {field.rsplit(".", count)[0] for field in fields for count in range(1, field.count(".") + 1)}
    return FilteredFields(frozenset(fields), frozenset(groups))


def of_earlier(session: dict[str, Any], allowed: ClientPolicy) -> dict[str, Any]:
    """What a client has set of its session, as far as the one that comes back to it may set that as well."""
    return kept(session, of_session(allowed))


def kept(given: dict[str, Any], opened: FilteredFields, group: str = "", *, is_whole: bool = False) -> dict[str, Any]:
    """Of what was given, the fields that are open; `is_whole`: it stands in one that is."""
    result: dict[str, Any] = {}
    for key, value in given.items():
        name = group + key
        if name in STEERED and name not in opened.fields:
            continue
        whole = is_whole or name in opened.fields
        if isinstance(value, dict) and (name in opened.groups or whole):
            result[key] = kept(value, opened, f"{name}.", is_whole=whole)
        elif whole or name in opened.groups:
            result[key] = value
    return result


def left_out(given: dict[str, Any], taken: dict[str, Any], group: str = "") -> tuple[str, ...]:
    """The dotted names of what was given and not taken: the first few, each cut to a length that can be told.

    Null is nothing given, where it does not mean "off", and so is `"tools": []`: SDKs say so of clients without tools.
    """
    names: list[str] = []
    for name in _lost(given, taken, group):
        if len(names) == MAX_LEFT_OUT:
            break
        names.append(name[:MAX_NAME_CHARS])
    return tuple(names)


def says_nothing(fields: dict[str, Any]) -> bool:
    """Groups at most, and no field in any of them."""
    return all(isinstance(value, dict) and says_nothing(value) for value in fields.values())


def without_nulls(value: Any) -> Any:
    """As it was, less the nulls in objects that mean nothing; milliseconds are whole. Lists are not looked into.

    Players count milliseconds as floating-point numbers, and servers take integers alone.
    """
    if not isinstance(value, dict):
        return value
    kept = {key: without_nulls(inner) for key, inner in value.items() if inner is not None or key in NULL_MEANS_OFF}
    return {
        key: round(inner) if isinstance(inner, float) and key.endswith("_ms") else inner for key, inner in kept.items()
    }


def _lost(given: dict[str, Any], taken: dict[str, Any], group: str) -> Iterator[str]:
    for key, value in given.items():
        if key not in taken:
            is_said = value is not None and not (key == "tools" and value == [])
            if is_said or key in NULL_MEANS_OFF:
                yield group + key
        elif isinstance(value, dict) and isinstance(taken[key], dict):
            yield from _lost(value, taken[key], f"{group}{key}.")
