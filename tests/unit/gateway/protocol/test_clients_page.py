"""docs/clients.md says what the policies and the decoder say: every event, field, rule and bound."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway import protocol
from gateway.protocol import ClientFrame
from gateway.protocol.field_filter import ALSO_OF_RESPONSES, MAX_LEFT_OUT, MAX_NAME_CHARS
from gateway.protocol.session_fields import MAX_DESCRIPTION_CHARS, MAX_INPUT_ITEMS, MAX_PARAMETERS_BYTES, MAX_TOOLS
from gateway.upstream import realtime_events
from gateway.upstream.events import OtherEvent
from ringback.agents.client_policy import (
    ALLOWED_EVENTS,
    BROWSER,
    CLIENT_EVENTS,
    RESPONSE_FIELDS,
    SESSION_FIELDS,
    TRUSTED,
    TRUSTED_EVENTS,
    ClientPolicy,
    Clients,
)

PAGE = (Path(__file__).parents[4] / "docs" / "clients.md").read_text(encoding="utf-8")
PRESETS = {"browser": BROWSER, "trusted": TRUSTED}
VALUES: dict[str, Any] = {
    "output_modalities": ["text"],
    "audio.input.format": {"type": "audio/pcmu"},
    "audio.input.noise_reduction": {"type": "near_field"},
    "audio.input.transcription": None,
    "audio.input.transcription.prompt": "Names of towns.",
    "audio.input.transcription.keywords": ["Bruges"],
    "audio.input.turn_detection": {"type": "semantic_vad"},
    "audio.output.format": {"type": "audio/pcma"},
    "audio.output.speed": 0.25,
    "audio.output.voice": {"id": "voice_1"},
    "max_output_tokens": "inf",
    "tool_choice": "none",
    "include": ["item.input_audio_transcription.logprobs"],
    "instructions": "Be kind.",
    "tools": [{"type": "function", "name": "look_up"}],
}


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first heading is `head`, without backticks."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[ \-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"no table begins with {head}"
    return [[cell.strip().replace("`", "") for cell in row.strip("|\n ").split("|")] for row in found[1].splitlines()]


def as_told(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{int(value):,}" if value == int(value) else f"{value:,g}"
    return str(value)


def test_every_setting_stands_there_with_what_the_presets_say() -> None:
    rows = {row[0]: row[1:3] for row in table("setting")}
    assert set(rows) == set(ClientPolicy.model_fields) - {"name"}
    assert rows.pop("events") == [f"all but {TRUSTED_EVENTS[0]}", "all"]
    assert (BROWSER.events, TRUSTED.events) == (ALLOWED_EVENTS, CLIENT_EVENTS)
    rows.pop("session")
    rows.pop("response")
    roles, all_roles = rows.pop("roles")
    assert (roles, tuple(all_roles.split(", "))) == (*BROWSER.roles, TRUSTED.roles)
    asked, more = rows.pop("asks")
    assert tuple(asked.split(", ")) == BROWSER.asks
    assert {*BROWSER.asks, more.removeprefix("also ")} == set(TRUSTED.asks)
    assert rows == {name: [as_told(getattr(preset, name)) for preset in PRESETS.values()] for name in rows}


def test_the_events_are_those_of_the_decoder_and_of_the_policies() -> None:
    allowed = [kind.__struct_config__.tag for kind in get_args(protocol.Known)]
    first, forbidden = re.findall(r"^\| event \|.*\n\|[ \-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert re.findall(r"^\| `([a-z_.]+)`", first, re.MULTILINE) == allowed
    assert sorted(allowed) == sorted(CLIENT_EVENTS)
    assert dict(re.findall(r"^\| `([a-z_.]+)` \| (.+) \|$", forbidden, re.MULTILINE)) == protocol.FORBIDDEN


@pytest.mark.parametrize("row", table("event"), ids=lambda row: row[0])
def test_an_event_is_sent_again_until_the_server_says_what_the_page_says(row: list[str]) -> None:
    kind, *_, until = row
    confirmed_by = protocol.RESENT_UNTIL.get(kind)
    parts: dict[str, Any] = {name: {} for name in ("item", "session", "response", "error")}
    said = realtime_events.read(json.dumps({"type": until, **parts}))
    assert type(said) is (confirmed_by or OtherEvent)
    assert (until == "–") == (confirmed_by is None)


def test_the_fields_of_a_session_are_those_that_can_be_opened() -> None:
    assert {row[0] for row in table("field")} == SESSION_FIELDS | {"tools"} == set(VALUES)


@pytest.mark.parametrize("row", table("field"), ids=lambda row: row[0])
def test_a_field_is_taken_from_whom_the_page_says(row: list[str]) -> None:
    name, browser, trusted, *_ = row
    session: Any = VALUES[name]
    for part in reversed(name.split(".")):
        session = {part: session}
    frame = json.dumps({"type": "session.update", "session": session})
    for preset, is_taken in ((BROWSER, browser), (TRUSTED, trusted)):
        read = protocol.read(frame, preset)
        assert isinstance(read, ClientFrame)
        assert as_told(not read.left_out) == is_taken, preset.name
        assert read.is_empty_update == bool(read.left_out)
    opened = protocol.read(frame, BROWSER.model_copy(update={"session": (name,), "brings_tools": True}))
    assert isinstance(opened, ClientFrame)
    assert not opened.left_out


def test_the_fields_of_a_response_stand_there() -> None:
    rows = {row[0]: row[1:3] for row in table("field of a response")}
    assert rows == {name: [as_told(name in preset.response) for preset in PRESETS.values()] for name in RESPONSE_FIELDS}
    named = {name.split(".")[0] for name in RESPONSE_FIELDS}
    assert named == set(protocol.ResponseFields.__struct_fields__)
    assert set(ALSO_OF_RESPONSES) <= set(RESPONSE_FIELDS)


def test_the_rules_stand_there_word_for_word() -> None:
    assert {row[0]: row[1] for row in table("rule")} == protocol.RULES


def test_the_bounds_are_the_decoders() -> None:
    bounds = {row[0]: row[1:] for row in table("bound")}
    assert bounds["depth"][0] == str(protocol.MAX_DEPTH)
    assert bounds["values"][0] == f"{protocol.MAX_PLAIN_VALUES:,}"
    assert f"{protocol.MAX_VALUES:,}" in bounds["values"][1]
    assert bounds["length"][0] == f"{protocol.MAX_PLAIN_CHARS:,}"
    for sentence in (
        f"quotes at most {protocol.MAX_PROBLEM_CHARS} characters",
        f"at most {MAX_LEFT_OUT} names of {MAX_NAME_CHARS} characters",
        f"There may be {MAX_TOOLS} of them",
        f"{MAX_PARAMETERS_BYTES:,} bytes as JSON",
        f"{MAX_DESCRIPTION_CHARS:,} characters",
        f"at most {MAX_INPUT_ITEMS} items",
        f"at most {protocol.MAX_EVENT_ID_CHARS} characters that does not begin with `{protocol.OURS}`",
        f"not `{protocol.SERVER_ITEMS}…`",
    ):
        assert sentence in " ".join(PAGE.split()), sentence


def test_the_example_is_a_policy() -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    clients = Clients.model_validate(tomllib.loads(example)["clients"])
    assert clients.browser.session == ("output_modalities", "audio.output.speed")
    assert clients.browser.messages_burst == BROWSER.messages_burst
    assert not clients.trusted.brings_tools
    assert "calls" in clients.trusted.asks
