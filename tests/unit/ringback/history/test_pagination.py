"""Cursors survive the round trip, and a wrong query is refused in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ringback.history.pagination import (
    IdRange,
    JobQuery,
    PageQuery,
    Position,
    SessionQuery,
    cursor,
    cut,
    position,
    refusal,
    since,
)
from ringback.jobs.states import JobState

ID = UUID("3f2a9c1b-0000-4000-8000-00000000000a")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def refused(query: type[PageQuery], **given: Any) -> tuple[str, str, str]:
    with pytest.raises(ValidationError) as caught:
        query(**given)
    return refusal(caught.value.errors())


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_brings_back_the_very_position(moment: datetime, id_: UUID) -> None:
    assert position(cursor(Position(moment, id_))) == (moment, id_)


def test_a_cursor_does_not_depend_on_the_zone_a_driver_answers_in() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert cursor(Position(there, ID)) == cursor(Position(NOON, ID))


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_fits_into_a_url_as_it_is(moment: datetime, id_: UUID) -> None:
    text = cursor(Position(moment, id_))
    assert len(text) == 32
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    ["", "x", "Zm9v", "ä" * 32, "=" * 32, "A" * 31, "A" * 36, "f" + "_" * 31, "A" * 31 + "\n", "+" * 32],
)
def test_what_no_page_gave_out_is_no_cursor(text: str) -> None:
    assert refused(JobQuery, after=text)[:2] == ("after", "invalid_value")


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_refused_as_one(text: str) -> None:
    try:
        found = position(text)
    except ValueError:
        return
    assert cursor(found) == text


@pytest.mark.parametrize(
    ("rows", "limit", "shown", "more"),
    [(0, 2, 0, False), (1, 2, 1, False), (2, 2, 2, False), (3, 2, 2, True)],
)
def test_a_page_is_cut_where_a_row_over_the_limit_says_that_there_is_more(
    rows: int, limit: int, shown: int, more: bool
) -> None:
    found = [SimpleNamespace(created_at=NOON, id=UUID(int=number)) for number in range(rows)]
    page, following = cut(found, limit)
    assert len(page) == shown
    assert following == (cursor(Position(NOON, page[-1].id)) if more else None)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(weeks=2)),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
        ("2026-01-31T12:00:00", NOON),
        ("2026-01-31", NOON.replace(hour=0)),
    ],
)
def test_since_is_a_time_or_how_long_ago(text: str, meaning: datetime | timedelta) -> None:
    assert since(text) == meaning


@pytest.mark.parametrize("value", [False, -2439, 3.3e16, {}, [1]])
@pytest.mark.parametrize("name", ["since", "until", "after", "state"])
def test_a_body_may_hold_any_json_and_is_refused_in_a_sentence(name: str, value: object) -> None:
    """A query of a body, as that of an act on all that match: it is no text of an address."""
    with pytest.raises(ValidationError) as refused:
        JobQuery.model_validate({name: value})
    assert refusal([dict(each) for each in refused.value.errors()])[:2] == (name, "invalid_value")


@pytest.mark.parametrize("text", ["2h", "15m", "2026-01-31T12:00:00Z"])
def test_a_since_is_written_as_a_text_that_is_read_again(text: str) -> None:
    written = JobQuery.model_validate({"since": text}).model_dump(mode="json", exclude_defaults=True)
    assert since(written["since"]) == since(text)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "15", "m", "-15m", "1.5h", "1h30m", "3661d", "999999999w", "1٣m", "0001-01-01T00:00:00+14:00"],
)
def test_any_other_since_is_refused(text: str) -> None:
    param, code, message = refused(SessionQuery, since=text)
    assert (param, code) == ("since", "invalid_value")
    assert message.startswith("since must be a time such as 2026-01-31T12:00:00Z, or how long ago: 15m, 2h, 1d")


@pytest.mark.parametrize("given", [["pending,running"], ["pending", "running"], "pending, running"])
def test_states_may_be_repeated_or_listed(given: Any) -> None:
    assert JobQuery(state=given).state == (JobState.PENDING, JobState.RUNNING)


@pytest.mark.parametrize(
    ("query", "given", "message"),
    [
        (JobQuery, {"limit": "0"}, "limit must be a whole number from 1 to 200, not '0'."),
        (JobQuery, {"limit": "201"}, "limit must be a whole number from 1 to 200, not '201'."),
        (JobQuery, {"limit": "many"}, "limit must be a whole number from 1 to 200, not 'many'."),
        (JobQuery, {"session": "s-1"}, "session must be a session's id, not 's-1'."),
        (JobQuery, {"tool": ""}, "tool must be a tool's name, not ''."),
        (JobQuery, {"tool": "a\x00b"}, r"tool must be a tool's name, not 'a\x00b'."),
        (JobQuery, {"queue": "q" * 201}, f"queue must be a queue's name, not '{'q' * 40}…'."),
        (JobQuery, {"approval": "perhaps"}, "approval must be one of requested, granted, denied, not 'perhaps'."),
        (JobQuery, {"after": "x"}, "after must be the `next` of the page before, not 'x'."),
        (
            JobQuery,
            {"state": ["done"]},
            "state must be one or more of pending, running, succeeded, failed, timed_out, cancelled, dead, unknown,"
            " not 'done'.",
        ),
        (
            SessionQuery,
            {"state": ["open", "shut"]},
            "state must be one or more of open, draining, detached, ended, not 'open,shut'.",
        ),
        (SessionQuery, {"agent": "\ud800"}, r"agent must be an agent's name, not '\ud800'."),
    ],
)
def test_a_wrong_filter_is_named_with_what_it_must_be(
    query: type[PageQuery], given: dict[str, Any], message: str
) -> None:
    assert refused(query, **given) == (next(iter(given)), "invalid_value", message)


def test_a_filter_that_a_list_does_not_have_is_refused() -> None:
    expected = ("agent", "unknown_parameter", "agent is not a parameter of this list: leave it out.")
    assert refused(JobQuery, agent="demo") == expected


@pytest.mark.parametrize("prefix", ["3f2a9c", "3F2A9C1B", "3f2a9c1b-0000", " 3f2a9c1b-0000-4000-8000-00000000000a "])
def test_the_beginning_of_an_id_covers_it(prefix: str) -> None:
    first, last = IdRange.beginning(prefix)
    assert first <= ID <= last


@pytest.mark.parametrize("other", ["3f2a9bffffffffffffffffffffffffff", "3f2a9d00000000000000000000000000"])
def test_the_beginning_of_an_id_covers_no_neighbour(other: str) -> None:
    first, last = IdRange.beginning("3f2a9c")
    assert not first <= UUID(other) <= last


@pytest.mark.parametrize("prefix", ["", "3f2a9", "3f2a-9", "3f2a9x", "job_3f2a9c", "3f2a9c%", "0" * 33])
def test_what_begins_no_id_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="at least its first 6 characters"):
        IdRange.beginning(prefix)
