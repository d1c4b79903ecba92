"""docs/protocol.md lists what the gateway lets through, refuses, hides and says at the end: exactly that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import close_codes, protocol
from gateway.auth import resume_tokens
from gateway.close_codes import SENTENCES
from gateway.conversation import event_names, item_log, upstream_errors
from gateway.conversation.client import view
from gateway.conversation.reconnect import memory, seeds
from gateway.conversation.tool_calls import builtin_tools, results
from gateway.session import client_reader, session, transcript_writer
from ringback.agents.client_policy import EXTENSIONS
from ringback.redis import broker, notifications
from ringback.statements.sessions import items

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`]+)`")


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first heading is `head`, without backticks."""
    found = re.search(rf"^\| {re.escape(head)} \|.*\n\|[ \-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert found, f"no table begins with {head}"
    return [[cell.strip().replace("`", "") for cell in row.strip("|\n ").split("|")] for row in found[1].splitlines()]


def test_the_forbidden_events_are_those_of_the_policy() -> None:
    assert [row[0] for row in table("forbidden")] == list(protocol.FORBIDDEN)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("[]", "invalid_json"),
        ("{}", "invalid_event"),
        ('{"type": "response.create", "event_id": "rb_1"}', "invalid_value"),
        ('{"type": "conversation.item.delete", "item_id": "a"}', "forbidden_event"),
    ],
)
def test_a_refused_frame_has_one_of_the_codes(frame: str, code: str) -> None:
    refusal = protocol.read(frame)
    assert isinstance(refusal, protocol.Rejection)
    assert refusal.code == code
    assert code in [row[0] for row in table("code")] + CODE.findall(PAGE)


def test_what_is_hidden_is_what_the_view_hides() -> None:
    start = PAGE.index("### What a client does not get to see")
    section = PAGE[start : PAGE.index("\n### ", start + 1)]
    named = set(CODE.findall(section))
    assert view.HIDDEN_ITEMS | set(event_names.OF_CALLS) | view.HIDDEN_FIELDS <= named


def test_the_sentences_at_the_end_are_the_gateways_own() -> None:
    start = PAGE.index("### The end")
    said = re.findall(r"^\| `(\w+)` \| \d+ \| (.+) \|$", PAGE[start:], re.MULTILINE)
    assert dict(said) == SENTENCES


def test_what_a_client_may_ask_for_besides_stands_there() -> None:
    asked = {row[0].removeprefix("ringback=") for row in table("query") if row[0].startswith("ringback=")}
    assert asked == EXTENSIONS


def test_the_events_of_a_session_that_can_be_resumed_are_the_gateways_own() -> None:
    source = Path(session.__file__).read_text(encoding="utf-8")
    told = {f"ringback.session.{name}" for name in re.findall(r'_session_event\("(\w+)"\)', source)}
    rows = re.findall(r"^\| `(ringback\.session\.\w+)` \|", PAGE, re.MULTILINE)
    assert set(rows) == told
    assert len(rows) == len(told)


def test_the_codes_and_bounds_of_coming_back_are_the_gateways_own() -> None:
    codes = {row[0] for row in table("close code")}
    assert {str(close_codes.DRAINING), str(close_codes.TOO_SLOW), str(close_codes.SERVICE_RESTART)} <= codes
    assert f"closes with {close_codes.SUPERSEDED} " in PAGE
    assert f"\n{resume_tokens.HEADER.title()}: {resume_tokens.PREFIX}" in PAGE
    assert f'"{resume_tokens.TOKEN_SUBPROTOCOL}{resume_tokens.PREFIX}' in PAGE
    assert f"{client_reader.HELD_CHARS // 1024**2} Mi characters" in PAGE
    assert f"{item_log.MAX_IMAGE_CHARS:,} characters" in PAGE
    assert f"the newest {items.PICTURE_CHARS_AT_MOST:,} of a session" in PAGE
    assert f"{transcript_writer.PICTURE_CHARS_BURST:,} characters at once" in PAGE
    assert f"{transcript_writer.PICTURE_CHARS_PER_SECOND:,.0f} a second" in PAGE


def test_what_a_rebuilt_conversation_is_told_has_the_bounds_of_the_page() -> None:
    for window in (memory.SMALL_WINDOW, memory.LARGE_WINDOW):
        assert f"{window * memory.WINDOW_SHARE:,.0f} of {window:,}" in PAGE
    assert f"cut at {memory.SHORT_CHARS:,} characters" in PAGE
    assert f"{memory.PICTURE_TOKENS:,} for a picture" in PAGE
    assert f"takes from a client ({seeds.MAX_ID_CHARS} characters)" in PAGE


def test_the_gateways_own_functions_are_those_that_it_offers() -> None:
    assert [row[0] for row in table("function")] == sorted(builtin_tools.TOOLS, key=list(builtin_tools.TOOLS).index)
    assert f"the key `{protocol.OUR_MARK}` in the `metadata`" in PAGE


def test_names_that_others_depend_on_are_the_codes() -> None:
    names = (protocol.OURS, results.INVALID_CALL, upstream_errors.REFUSED, protocol.SERVER_ITEMS, broker.TASK)
    assert [name for name in names if name not in PAGE] == []
    assert notifications.stream_of("<gateway id>") in PAGE
    assert f"MAXLEN ~ {notifications.MAX_LENGTH} * {notifications.FIELD} " in PAGE
    assert f"EXPIRE {notifications.stream_of('<gateway id>')} {notifications.TIME_TO_LIVE}" in PAGE
