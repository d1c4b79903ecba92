"""A frame out of bounds is refused by the rule that it breaks; of a frame with two readings, one goes on."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from gateway.protocol import (
    MAX_DEPTH,
    MAX_PLAIN_CHARS,
    MAX_PLAIN_VALUES,
    MAX_VALUES,
    RULES,
    ClientFrame,
    Rejection,
    read,
)
from ringback.agents.client_policy import TRUSTED
from tests.unit.gateway.protocol.client_frames import refusal

MIB = 1024 * 1024
CLEAR = '{"type": "input_audio_buffer.clear", %s}'
APPEND = '{"type": "input_audio_buffer.append", "audio": "AAEC"%s}'
CREATE = '{"type": "response.create", "response": %s}'
DELETE = '"conversation.item.delete"'

TRUNCATE = '{"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": %s}'
TOOL = '{"type": "session.update", "session": {"tools": [{"type": "function", "name": "t", "parameters": %s}]}}'

BROKEN: dict[str, tuple[str, str]] = {
    "half a pair": (CLEAR % '"x": "\\ud83d"', "invalid_json"),
    "half a pair, capital letters": (CLEAR % '"x": "\\uDE00 "', "invalid_json"),
    "halves the wrong way round": (CLEAR % '"x": "\\ude00\\ud83d"', "invalid_json"),
    "half a pair in a name": (CLEAR % '"\\ud83d": 1', "invalid_json"),
    "half a pair as it is": (CLEAR % '"x": "\ud83d"', "invalid_json"),
    "NUL": (CREATE % '{"metadata": {"a": "\\u0000"}}', "invalid_value"),
    "NUL in a name": (CREATE % '{"metadata": {"\\u0000": "a"}}', "invalid_value"),
    "NUL in an event id": (CLEAR % '"event_id": "\\u0000"', "invalid_value"),
    "NUL in an event id, beside audio": (APPEND % ', "event_id": "\\u0000"', "invalid_value"),
    "NUL behind a backslash": (CREATE % r'{"metadata": {"a": "\\\u0000"}}', "invalid_value"),
    "a byte order mark": ("\ufeff" + CLEAR % '"x": 1', "invalid_json"),
    "too deep": (CLEAR % ('"x": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH), "too_deep"),
    "too deep, objects": (CLEAR % ('"x": ' + '{"x":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH), "too_deep"),
    "too deep, behind a text with brackets": (
        CLEAR % ('"y": "]]\\"]", "x": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH),
        "too_deep",
    ),
    "too many names": (
        CLEAR % ",".join(f'"{number}": 1' for number in range(MAX_PLAIN_VALUES + 1)),
        "too_many_keys",
    ),
    "too many values": (CLEAR % ('"x": [' + "1," * MAX_PLAIN_VALUES + "1]"), "too_many_keys"),
    "too many empty ones": (CLEAR % ('"x": [' + "{}," * MAX_PLAIN_VALUES + "{}]"), "too_many_keys"),
    "NaN": (CLEAR % '"x": NaN', "invalid_json"),
    "-Infinity": (CLEAR % '"x": -Infinity', "invalid_json"),
    "1e999": (TRUNCATE % "1e999", "invalid_value"),
    "-1E+999": (TRUNCATE % "-1E+999", "invalid_value"),
    "4,301 digits": (TRUNCATE % ("9" * 4_301), "invalid_value"),
    "long, and no audio": (CLEAR % f'"x": "{"x" * MAX_PLAIN_CHARS}"', "too_large"),
    "long, and no JSON": ("x" * (MAX_PLAIN_CHARS + 1), "too_large"),
    "long, and never ending": ('{"type": "' + "x" * MAX_PLAIN_CHARS, "too_large"),
    "long, and a list as the type": ('{"type": [' + "[]," * MAX_PLAIN_CHARS + "[]]}", "too_large"),
}


@pytest.mark.parametrize(("frame", "rule"), BROKEN.values(), ids=BROKEN)
def test_a_frame_out_of_bounds_is_refused_by_its_rule(frame: str, rule: str) -> None:
    refused = refusal(frame)
    assert refused.rule == refused.code == rule
    assert rule in RULES
    assert ": " in refused.message, "it says what to do"


PLAIN: dict[str, str] = {
    "as deep as allowed": CLEAR % ('"x": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)),
    "a text full of brackets": CLEAR % f'"x": "{"[{" * MAX_PLAIN_VALUES}"',
    "a text full of commas": CLEAR % f'"x": "{"," * MAX_PLAIN_VALUES}\\"{"," * MAX_PLAIN_VALUES}"',
    "lists beside each other": CLEAR % f'"x": [{"[]," * MAX_DEPTH}[]]',
    "a pair of surrogates": CLEAR % '"x": "\\ud83d\\ude00"',
    "a character beyond the first plane": CLEAR % '"x": "\U0001f600"',
    "a backslash before u0000": CLEAR % r'"x": "\\u0000"',
    "a backslash before ud800": CLEAR % r'"x": "\\ud800"',
    "as many values as allowed": CLEAR % ('"x": [' + "1," * (MAX_PLAIN_VALUES - 4) + "1]"),
    "an escaped event id": CLEAR % '"event_id": "\\u0061"',
    "a long number that no field takes": CLEAR % f'"x": {"9" * 250_000}',
}


@pytest.mark.parametrize("frame", PLAIN.values(), ids=PLAIN)
def test_a_frame_within_the_bounds_passes(frame: str) -> None:
    assert isinstance(read(frame), ClientFrame)


MESSAGE = (
    '{"type": "conversation.item.create", "item": '
    '{"type": "message", %s, "content": [{"type": "input_text", "text": "a"}]}}'
)
HEARD = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}
TWICE: dict[str, tuple[str, dict[str, Any]]] = {
    "an unknown name": (CLEAR % '"x": 1, "x": 1', {"type": "input_audio_buffer.clear"}),
    "the type, the same": (CLEAR % '"type": "input_audio_buffer.clear"', {"type": "input_audio_buffer.clear"}),
    "the event id": (
        CLEAR % '"event_id": "a", "event_id": "b"',
        {"type": "input_audio_buffer.clear", "event_id": "b"},
    ),
    "audio": (APPEND % ', "audio": "BBBB"', {"type": "input_audio_buffer.append", "audio": "BBBB"}),
    "audio, once escaped": (APPEND % ', "\\u0061udio": "BBBB"', {"type": "input_audio_buffer.append", "audio": "BBBB"}),
    "the role": (MESSAGE % '"role": "system", "role": "user"', {"type": "conversation.item.create", "item": HEARD}),
    "the role, escaped": (MESSAGE % '"r\\u006fle": "user"', {"type": "conversation.item.create", "item": HEARD}),
    "in an object": (
        CREATE % '{"metadata": {"a": "1", "a": "2"}}',
        {"type": "response.create", "response": {"metadata": {"a": "2"}}},
    ),
    "in an object, once escaped": (
        CREATE % '{"metadata": {"\u00f6": "1", "\\u00f6": "2"}}',
        {"type": "response.create", "response": {"metadata": {"\u00f6": "2"}}},
    ),
    "the object": (
        '{"type": "response.create", "response": {"metadata": {"a": "1"}}, "response": {}}',
        {"type": "response.create", "response": {}},
    ),
    "the type escaped": ('{"\\u0074ype": "input_audio_buffer\\u002eclear"}', {"type": "input_audio_buffer.clear"}),
}


@pytest.mark.parametrize(("frame", "event"), TWICE.values(), ids=TWICE)
def test_of_a_name_that_stands_twice_one_value_is_checked_and_goes_on(frame: str, event: dict[str, Any]) -> None:
    passed = read(frame)
    assert isinstance(passed, ClientFrame), passed
    assert passed.event == event
    written = msgspec.json.encode(passed.event)
    assert json.loads(written, object_pairs_hook=each_name_once) == event
    assert b"\\u" not in written


def each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    return dict(pairs)


FORBIDDEN_TWICE = {
    "an allowed type, then another": (CLEAR % f'"type": {DELETE}, "item_id": "i"', "invalid_value"),
    "another type, then an allowed one": (
        f'{{"type": {DELETE}, "item_id": "i", "type": "input_audio_buffer.clear"}}',
        "invalid_value",
    ),
    "an allowed type, then another, escaped": (CLEAR % f'"\\u0074ype": {DELETE}, "item_id": "i"', "invalid_value"),
    "a role that is the server's, last": (MESSAGE % '"role": "user", "role": "system"', "forbidden_event"),
    "the same, escaped": (MESSAGE % '"role": "user", "r\\u006fle": "system"', "forbidden_event"),
    "a mark of the gateway's, last": (
        CREATE % '{"metadata": {"a": "1"}, "metadata": {"ringback": "rb_word_1_1"}}',
        "invalid_value",
    ),
}


@pytest.mark.parametrize(("frame", "rule"), FORBIDDEN_TWICE.values(), ids=FORBIDDEN_TWICE)
def test_what_a_client_may_not_say_is_refused_behind_what_it_may_say(frame: str, rule: str) -> None:
    assert refusal(frame).rule == rule


def test_a_number_in_a_tools_schema_is_bounded_by_the_decoder() -> None:
    for number in ("1e999", "9" * 4_301):
        refused = read(TOOL % f'{{"type": "object", "maximum": {number}}}', TRUSTED)
        assert isinstance(refused, Rejection)
        assert refused.rule == "invalid_value"
        assert "out of range" in refused.message
    assert isinstance(read(TOOL % '{"type": "object", "maximum": 18446744073709551616}', TRUSTED), ClientFrame)


@pytest.mark.parametrize(("text", "advice"), [("\\ud83d", "send whole characters"), ("\\ude00 ", "surrogate pair")])
def test_half_a_character_is_told_in_words(text: str, advice: str) -> None:
    assert advice in refusal(CLEAR % f'"x": "{text}"').message


def test_a_client_that_brings_tools_may_say_more_at_once() -> None:
    frame = CLEAR % ('"x": [' + "1," * MAX_PLAIN_VALUES + "1]")
    assert isinstance(read(frame, TRUSTED), ClientFrame)
    refused = read(CLEAR % ('"x": [' + "1," * MAX_VALUES + "1]"), TRUSTED)
    assert isinstance(refused, Rejection)
    assert refused.rule == "too_many_keys"


def test_a_refusal_by_a_rule_names_the_clients_event() -> None:
    many = '"x": [' + "1," * MAX_PLAIN_VALUES + "1]"
    assert refusal(CLEAR % f'"event_id": "mine", {many}').event_id == "mine"
    assert refusal(f'{{"type": "x", "event_id": "mine", {many}}}').event_id == "mine"
    assert refusal(CREATE % '{"metadata": {"a": "\\u0000"}}, "event_id": "mine"').event_id == "mine"


@contextmanager
def at_most(more_bytes: int) -> Iterator[None]:
    """What is held at once inside it has a bound."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < more_bytes


COSTLY: dict[str, tuple[str, str]] = {
    "a million lists": ("[" * 10**6, "too_large"),
    "deep": (CLEAR % ('"x": ' + "[" * 100_000 + "]" * 100_000), "too_deep"),
    "a million names": (CLEAR % ",".join(f'"{number}": 1' for number in range(150_000)), "too_large"),
    "names": (CLEAR % ",".join(f'"{number}": 1' for number in range(20_000)), "too_many_keys"),
    "the same name": (CLEAR % ",".join(['"a": 1'] * 30_000), "too_many_keys"),
    "a long text": (CLEAR % f'"x": "{"x" * 2 * MIB}"', "too_large"),
    "a long number": (TRUNCATE % ("9" * 250_000), "invalid_value"),
    "a list of lists as the type": ('{"type": [' + "[]," * 500_000 + "[]]}", "too_large"),
    "objects where a session is asked for": (
        '{"type": "session.update", "session": {"x": [' + "{}," * 60_000 + "{}]}}",
        "too_many_keys",
    ),
    "lists beside audio": (APPEND % (', "x": ' + "[" * 100_000 + "]" * 100_000), "too_deep"),
}


@pytest.mark.parametrize(("frame", "rule"), COSTLY.values(), ids=COSTLY)
def test_what_is_built_to_cost_is_refused_before_it_is_built(frame: str, rule: str) -> None:
    with at_most(5 * MIB):
        assert refusal(frame).rule == rule


def test_names_beside_audio_are_passed_over_and_not_built() -> None:
    frame = APPEND % "".join(f', "{number}": 1' for number in range(100_000))
    with at_most(MIB):
        assert read(frame) == ClientFrame({"type": "input_audio_buffer.append", "audio": "AAEC"})


def test_quotes_that_never_end_are_read_once() -> None:
    """Each of them could begin a text: with a second try for each, this would take hours."""
    assert refusal('{"type": ' + '\\"' * 100_000).rule == "invalid_json"
    assert refusal('{"type": "' + '\\"' * 100_000).rule == "invalid_json"


def test_two_megabytes_of_audio_pass() -> None:
    event = {"type": "input_audio_buffer.append", "audio": "AAEC" * 500_000}
    frame = read(json.dumps(event))
    assert frame == ClientFrame(event)
    assert isinstance(frame, ClientFrame)
    assert frame.audio_bytes == 1_500_000
