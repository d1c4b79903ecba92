"""A frame that two readers could understand in two ways, or that is built to cost, is refused by the rule it breaks."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

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

BROKEN: dict[str, tuple[str, str]] = {
    "a name twice": (CLEAR % '"x": 1, "x": 1', "duplicate_key"),
    "the type twice": (CLEAR % f'"type": {DELETE}', "duplicate_key"),
    "the type twice, the same": (CLEAR % '"type": "input_audio_buffer.clear"', "duplicate_key"),
    "the event id twice": (CLEAR % '"event_id": "a", "event_id": "b"', "duplicate_key"),
    "audio twice": (APPEND % ', "audio": "AAEC"', "duplicate_key"),
    "audio and its type twice": (APPEND % ', "type": "input_audio_buffer.append"', "duplicate_key"),
    "twice, in an object": (CREATE % '{"metadata": {"a": "1", "a": "2"}}', "duplicate_key"),
    "twice, in a list": (CLEAR % '"x": [{"a": 1}, {"a": 1, "b": {}, "a": 1}]', "duplicate_key"),
    "twice, with space": (CLEAR % '"x" :1,\n"x"\t: 2', "duplicate_key"),
    "twice, once escaped": (
        CREATE % '{"metadata": {"gr\u00f6\u00dfe": "1", "gr\\u00f6\\u00dfe": "2"}}',
        "duplicate_key",
    ),
    "a name escaped": ('{"\\u0074ype": "input_audio_buffer.clear"}', "odd_escape"),
    "a name escaped, beside audio": ('{"type": "input_audio_buffer.append", "\\u0061udio": "AAEC"}', "odd_escape"),
    "a name escaped, deep inside": (CREATE % '{"metadata": {"\\u0061": "1"}}', "odd_escape"),
    "a name with a tab": (CLEAR % '"a\\tb": 1', "odd_escape"),
    "a name with NUL": (CLEAR % '"event_id\\u0000": "x"', "odd_escape"),
    "the type escaped": ('{"type": "input_audio_buffer\\u002eclear"}', "odd_escape"),
    "a half": (CLEAR % '"x": "\\ud83d"', "odd_escape"),
    "a half, capital letters": (CLEAR % '"x": "\\uDE00 "', "odd_escape"),
    "halves the wrong way round": (CLEAR % '"x": "\\ude00\\ud83d"', "odd_escape"),
    "a half in a name": (CLEAR % '"\\ud83d": 1', "odd_escape"),
    "a half as it is": (CLEAR % '"x": "\ud83d"', "odd_escape"),
    "NUL": (CREATE % '{"metadata": {"a": "\\u0000"}}', "odd_escape"),
    "a byte order mark": ("\ufeff" + CLEAR % '"x": 1', "odd_escape"),
    "too deep": (CLEAR % ('"x": ' + "[" * MAX_DEPTH + "]" * MAX_DEPTH), "too_deep"),
    "too deep, objects": (CLEAR % ('"x": ' + '{"x":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH), "too_deep"),
    "too many names": (
        CLEAR % ",".join(f'"{number}": 1' for number in range(MAX_PLAIN_VALUES + 1)),
        "too_many_keys",
    ),
    "too many values": (CLEAR % ('"x": [' + "1," * MAX_PLAIN_VALUES + "1]"), "too_many_keys"),
    "too many empty ones": (CLEAR % ('"x": [' + "{}," * MAX_PLAIN_VALUES + "{}]"), "too_many_keys"),
    "NaN": (CLEAR % '"x": NaN', "number_out_of_range"),
    "-Infinity": (CLEAR % '"x": -Infinity', "number_out_of_range"),
    "1e999": (CLEAR % '"x": 1e999', "number_out_of_range"),
    "-1E+999": (CLEAR % '"x": [-1E+999]', "number_out_of_range"),
    "4,301 digits": (CLEAR % f'"x": {"9" * 4_301}', "number_out_of_range"),
    "4,301 digits behind the point": (CLEAR % f'"x": 0.{"9" * 4_301}', "number_out_of_range"),
    "2**63": (CLEAR % f'"x": {2**63}', "number_out_of_range"),
    "long, and no audio": (CLEAR % f'"x": "{"x" * MAX_PLAIN_CHARS}"', "too_large"),
    "long, and no JSON": ("x" * (MAX_PLAIN_CHARS + 1), "too_large"),
    "long, and never ending": ('{"type": "' + "x" * MAX_PLAIN_CHARS, "too_large"),
}


@pytest.mark.parametrize(("frame", "rule"), BROKEN.values(), ids=BROKEN)
def test_a_frame_that_is_not_strict_is_refused_by_its_rule(frame: str, rule: str) -> None:
    refused = refusal(frame)
    assert refused.rule == refused.code == rule
    assert rule in RULES
    assert ": " in refused.message, "it says what to do"


PLAIN: dict[str, str] = {
    "as deep as allowed": CLEAR % ('"x": ' + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)),
    "the same name in two objects": CLEAR % '"x": {"a": 1}, "y": [{"a": 1}, {"a": {"a": 1}}]',
    "a name as a value": CLEAR % '"x": "x", "y": ["type", "type"]',
    "a value with quotes and braces": CLEAR % r'"x": "\"a\": {[,\\", "y": "\\\\"',
    "a pair of surrogates": CLEAR % '"x": "\\ud83d\\ude00"',
    "a character beyond the first plane": CLEAR % '"x": "\U0001f600"',
    "a backslash before u0000": CLEAR % r'"x": "\\u0000"',
    "a backslash before ud800": CLEAR % r'"x": "\\ud800"',
    "names outside ASCII, as Python writes them": CREATE % '{"metadata": {"gr\\u00f6\\u00dfe": "1"}}',
    "a quote in a name": CREATE % r'{"metadata": {"a\"b\\c": "1"}}',
    "numbers": CLEAR
    % f'"x": [0, -1, 1.5, 1e300, -2.5E-7, {2**63 - 1}, {-(2**63) + 1}, 0.1000000000000000055511151231257827]',
    "as many values as allowed": CLEAR % ('"x": [' + "1," * (MAX_PLAIN_VALUES - 4) + "1]"),
    "an escaped event id": CLEAR % '"event_id": "\\u0061"',
}


@pytest.mark.parametrize("frame", PLAIN.values(), ids=PLAIN)
def test_what_can_be_read_in_one_way_only_passes(frame: str) -> None:
    assert isinstance(read(frame), ClientFrame)


def test_a_client_that_brings_tools_may_say_more_at_once() -> None:
    frame = CLEAR % ('"x": [' + "1," * MAX_PLAIN_VALUES + "1]")
    assert isinstance(read(frame, TRUSTED), ClientFrame)
    refused = read(CLEAR % ('"x": [' + "1," * MAX_VALUES + "1]"), TRUSTED)
    assert isinstance(refused, Rejection)
    assert refused.rule == "too_many_keys"


def test_a_refusal_by_a_rule_names_the_clients_event() -> None:
    assert refusal(CLEAR % '"event_id": "mine", "x": 1, "x": 1').event_id == "mine"
    assert refusal(f'{{"type": {DELETE}, "event_id": "mine", "x": 1e999}}').event_id == "mine"


def test_a_long_name_is_quoted_in_part() -> None:
    name = "x" * 100_000
    assert len(refusal(CLEAR % f'"{name}": 1, "{name}": 1').message) < 300


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
    "the same name": (CLEAR % ",".join(['"a": 1'] * 30_000), "duplicate_key"),
    "a long text": (CLEAR % f'"x": "{"x" * 2 * MIB}"', "too_large"),
    "a long number": (CLEAR % f'"x": {"9" * 250_000}', "number_out_of_range"),
    "objects where a session is asked for": (
        '{"type": "session.update", "session": {"x": [' + "{}," * 60_000 + "{}]}}",
        "too_many_keys",
    ),
    "names beside audio": (APPEND % "".join(f', "{number}": 1' for number in range(150_000)), "too_many_keys"),
}


@pytest.mark.parametrize(("frame", "rule"), COSTLY.values(), ids=COSTLY)
def test_what_is_built_to_cost_is_refused_before_it_is_built(frame: str, rule: str) -> None:
    with at_most(5 * MIB):
        assert refusal(frame).rule == rule


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
