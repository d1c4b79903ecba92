"""Applies a client's policy to the fields that it sent: what is kept, and what is left out.

The policy names fields as `ringback.agents.client_policy` lists them; the gateway does not start if that list and the
types of `session_fields` differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from functools import lru_cache
from typing import Any, NamedTuple, get_args

from msgspec import Struct, structs

from gateway.protocol.session_fields import ResponseFields, SessionFields
from gateway.protocol.values import NULL_MEANS_OFF
from ringback.agents.client_policy import HINT_FIELDS, RESPONSE_FIELDS, SESSION_FIELDS, ClientPolicy

MAX_LEFT_OUT = 16
"""Of the names that the gateway tells a client of: the client could send thousands."""
MAX_NAME_CHARS = 64

ALSO_OF_RESPONSES = ("instructions", "max_output_tokens", "tool_choice")
"""Fields that a client may set for one response if it may set them for its session."""


class FilteredFields(NamedTuple):
    """Dotted names: fields that the client may set as a whole, and groups that hold such fields."""

    fields: frozenset[str]
    groups: frozenset[str]


@lru_cache(maxsize=256)
def of_session(allowed: ClientPolicy) -> FilteredFields:
    """Return the fields of a `session.update` that the client may set."""
    return _opened((SESSION_FIELDS & set(allowed.session)) | ({"tools"} if allowed.brings_tools else frozenset()))


@lru_cache(maxsize=256)
def of_response(allowed: ClientPolicy) -> FilteredFields:
    """Return the fields of a `response.create` that the client may set."""
    return _opened({*allowed.response, *(set(ALSO_OF_RESPONSES) & set(allowed.session))})


def _opened(fields: Set[str]) -> FilteredFields:
    groups = {field.rsplit(".", count)[0] for field in fields for count in range(1, field.count(".") + 1)}
    return FilteredFields(frozenset(fields), frozenset(groups))


def of_earlier(session: dict[str, Any], allowed: ClientPolicy) -> dict[str, Any]:
    """Return what a client set of its session, as far as the client that resumes it may set it too."""
    return kept(session, of_session(allowed))


def kept(given: dict[str, Any], opened: FilteredFields, group: str = "", *, is_whole: bool = False) -> dict[str, Any]:
    """Return the given fields that are open; `is_whole`: the group that holds them is open as a whole."""
    result: dict[str, Any] = {}
    for key, value in given.items():
        name = group + key
        if name in HINT_FIELDS and name not in opened.fields:
            continue
        whole = is_whole or name in opened.fields
        if isinstance(value, dict) and (name in opened.groups or whole):
            result[key] = kept(value, opened, f"{name}.", is_whole=whole)
        elif whole or name in opened.groups:
            result[key] = value
    return result


def left_out(given: dict[str, Any], taken: dict[str, Any], group: str = "") -> tuple[str, ...]:
    """Return the dotted names of what was given and not taken: the first few, each cut to a bounded length.

    Null counts as absent, unless it means "off"; so does `"tools": []`, which SDKs send for clients without tools.
    """
    names: list[str] = []
    for name in _lost(given, taken, group):
        if len(names) == MAX_LEFT_OUT:
            break
        names.append(name[:MAX_NAME_CHARS])
    return tuple(names)


def says_nothing(fields: dict[str, Any]) -> bool:
    """Return True for groups without any field in them."""
    return all(isinstance(value, dict) and says_nothing(value) for value in fields.values())


def without_nulls(value: Any) -> Any:
    """Return the value without the nulls in objects that do not mean "off", and with whole milliseconds.

    Lists stay as they are. Players count milliseconds as floating-point numbers, and servers take integers alone.
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


def paths(fields: type[Struct], group: str = "") -> Iterator[str]:
    """Return the dotted name of each field, and of each field in it."""
    for each in structs.fields(fields):
        yield group + each.encode_name
        for kind in get_args(each.type) or (each.type,):
            if isinstance(kind, type) and issubclass(kind, Struct):
                yield from paths(kind, f"{group}{each.encode_name}.")


def hold(fields: type[Struct], names: Set[str]) -> None:
    """Raise TypeError if a policy can open a field that has no type, or can open no part of a field that has one."""
    known = set(paths(fields))
    for name in sorted(names - known):
        raise TypeError(f"{name!r} is no field of {fields.__name__}: add it to gateway/protocol/session_fields.py")
    for name in fields.__struct_fields__:
        if not any(each.split(".")[0] == name for each in names):
            raise TypeError(f"no policy can open {name!r}: add it to ringback/agents/client_policy.py")


hold(SessionFields, SESSION_FIELDS | {"tools"})
hold(ResponseFields, set(RESPONSE_FIELDS))
