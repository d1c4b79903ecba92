"""All that the installed `openai` types know of the Realtime API is passed, refused, or listed with a reason.

A new release of the SDK with an event or a field that docs/realtime-api.md does not have fails here, by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import openai.types.realtime as sdk
import pytest
from pydantic import BaseModel

from gateway import protocol
from gateway.conversation.client.view import ClientView
from ringback.agents import hosted_tools
from ringback.agents.client_policy import BROWSER, TRUSTED, ClientPolicy
from ringback.agents.session import ELSEWHERE, AgentSession

PAGE = (Path(__file__).parents[2] / "docs" / "realtime-api.md").read_text(encoding="utf-8")
NOT_SERVED = {"RealtimeTranslationClientEvent", "RealtimeTranslationServerEvent"}
"""Unions of events of an endpoint that the gateway does not have; the page says so."""
NOT_TAKEN = {
    ("tools.require_approval", "always"): hosted_tools.APPROVAL,
    ("tools.type", "function"): hosted_tools.A_FUNCTION,
}
"""Values that a field of the SDK can have and a file cannot give it, and why."""
SAMPLES: dict[str, Any] = {
    "item": {"id": "item_1", "type": "message"},
    "item_id": "item_1",
    "response": {},
    "session": {},
    "error": {},
}


def events_of(union: Any) -> dict[str, type[BaseModel]]:
    """The events of a union by their `type`, in its order."""
    members = [member for part in get_args(union) for member in models(part)]
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}


def table(head: str) -> list[list[str]]:
    """The rows of the page's table whose first heading is `head`, without backticks."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[ \-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"no table begins with {head}"
    return [[cell.strip().replace("`", "") for cell in row.strip("|\n ").split(" | ")] for row in found[1].splitlines()]


def test_each_event_of_a_client_is_passed_or_refused() -> None:
    passed = {kind.__struct_config__.tag for kind in get_args(protocol.Known)}
    known = passed | set(protocol.FORBIDDEN)
    assert [kind for kind in events_of(sdk.RealtimeClientEvent) if kind not in known] == []
    assert passed.isdisjoint(protocol.FORBIDDEN)


def shows(kind: str, model: type[BaseModel], allowed: ClientPolicy, *, sees_calls: bool = False) -> str:
    event = {"type": kind, **{name: SAMPLES[name] for name in SAMPLES.keys() & model.model_fields.keys()}}
    return "yes" if ClientView("session", allowed, sees_calls).show(event) is not None else "no"


def test_each_event_of_the_server_stands_on_the_page_with_who_sees_it() -> None:
    expected = [
        [kind, shows(kind, model, BROWSER), shows(kind, model, TRUSTED), shows(kind, model, TRUSTED, sees_calls=True)]
        for kind, model in events_of(sdk.RealtimeServerEvent).items()
    ]
    assert [row[:4] for row in table("server event")] == expected
    assert all(row[4] for row in table("server event"))


def test_each_union_of_events_is_walked_or_named_as_not_served() -> None:
    unions = {name for name in dir(sdk) if name.endswith(("ClientEvent", "ServerEvent"))}
    assert unions - NOT_SERVED == {"RealtimeClientEvent", "RealtimeServerEvent"}
    assert "/v1/realtime/translations" in PAGE


def fields(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, Any]]:
    """Each field of a model and of those in it: its dotted name, and its annotation."""
    for name, field in model.model_fields.items():
        path = f"{above}{field.alias or name}"
        yield path, field.annotation
        for inner in models(field.annotation):
            yield from fields(inner, f"{path}.")


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from models(inner)


def values(annotation: Any) -> Iterator[object]:
    """What a Literal allows; a type where anything of it is allowed."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif isinstance(annotation, type) and not issubclass(annotation, BaseModel | type(None)):
        yield annotation
    for inner in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from values(inner)


THEIRS = list(fields(sdk.RealtimeSessionCreateRequest))
OURS = list(fields(AgentSession))
REFUSED = ELSEWHERE | {f"tools.{name}": why for name, why in hosted_tools.REFUSED.items()}


def is_taken(path: str) -> bool:
    """True where a file may have it: by name, or below a table that goes on as it is."""
    above = [path.rsplit(".", depth)[0] for depth in range(1, path.count(".") + 1)]
    opened = {ours for ours, annotation in OURS if dict in {*values(annotation)} or "dict[" in str(annotation)}
    return path in dict(OURS) or any(each in opened for each in above)


def is_refused(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in REFUSED)


@pytest.mark.parametrize("path", dict.fromkeys(path for path, _ in THEIRS))
def test_each_field_of_a_session_is_taken_or_refused(path: str) -> None:
    assert is_taken(path) or is_refused(path), (
        f"session.{path} is new: take it in ringback/agents/session.py, or list it"
    )


def test_each_value_of_a_field_is_taken_or_listed() -> None:
    ours: dict[str, set[object]] = {}
    for path, annotation in OURS:
        ours.setdefault(path, set()).update(values(annotation))
    missing = [
        (path, value)
        for path, annotation in THEIRS
        if path in ours and str not in {*values(annotation)} and not ours[path] & {str, int, float, dict}
        for value in values(annotation)
        if value not in ours[path] and (path, value) not in NOT_TAKEN
    ]
    assert missing == []


def test_what_is_refused_stands_on_the_page_in_the_words_of_the_error() -> None:
    listed = {row[0].removeprefix("session."): row[1] for row in table("not in the file")}
    assert listed == {name: why.replace("`", "") for name, why in REFUSED.items()}
