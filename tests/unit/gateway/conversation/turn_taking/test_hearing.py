"""What the user hears of a response that tells a result, and how that is known: a table of whole conversations.

Each response sounds 4 s, and its audio is passed on at once. The client plays it from the moment of its first audio.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.turn_taking.hearing import GRACE_SECONDS, MAX_OPEN, REPORT_SECONDS
from ringback.jobs.states import HeardBy
from ringback.moments import MomentKind
from tests.unit.gateway.conversation.script import STARTED, call, created, done, echo, job_of
from tests.unit.gateway.conversation.turn_taking.talk import LONG, SHORT, Talk, message, talk


def known(script: Talk) -> tuple[Any, ...]:
    """How it is known what was heard, how much, and how long after the first audio it counts as heard."""
    last = script.told[-1]
    heard = None if last.heard_at is None else round(last.heard_at - last.spoken_at, 2)
    played = None if last.played_ms is None else round(last.played_ms)
    return last.heard_by, played, heard


def plays_all(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(LONG + GRACE_SECONDS)


def leaves(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(2.0)
    script.leave()


def leaves_late(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(LONG + GRACE_SECONDS / 2)
    script.leave()


def leaves_before_the_end_is_said(script: Talk) -> None:
    script.answer()
    script.wait(2.0)
    script.leave()


def truncates(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(2.0)
    script.model(STARTED)
    script.truncates(1_900)


def truncates_at_once(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(0.5)
    script.model(STARTED)
    script.truncates(400)


def truncates_before_the_end_is_said(script: Talk) -> None:
    script.answer()
    script.wait(2.0)
    script.model(STARTED)
    script.truncates(1_900)
    script.client(type="response.cancel")
    script.model(done("R2", "cancelled"))


def says_more_than_there_is(script: Talk) -> None:
    script.answer(ends="completed")
    script.truncates(900_000)


def barges_in(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(2.0)
    script.model(STARTED)
    script.wait(GRACE_SECONDS)


def barges_in_at_once(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(0.5)
    script.model(STARTED)
    script.wait(GRACE_SECONDS)


def stops(script: Talk) -> None:
    script.answer()
    script.wait(2.0)
    script.client(type="response.cancel")
    script.model(done("R2", "cancelled"))
    script.wait(GRACE_SECONDS)


def reports(script: Talk) -> None:
    script.answer(ends="completed")
    for ms in (500, 1_500, 3_900):
        script.wait(1.0)
        script.plays(ms)


def reports_some_and_leaves(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(1.5)
    script.plays(1_400)
    script.leave()


def reports_little_and_leaves(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(1.0)
    script.plays(700)
    script.leave()


def reports_all_before_the_end_is_said(script: Talk) -> None:
    script.answer()
    script.wait(LONG)
    script.plays(4_000)
    script.model(done("R2"))


def reports_nothing(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(LONG + REPORT_SECONDS)


def reports_some_and_no_more(script: Talk) -> None:
    script.answer(ends="completed")
    script.wait(2.0)
    script.plays(1_600)
    script.wait(LONG + REPORT_SECONDS)


def says_little(script: Talk) -> None:
    script.answer(seconds=SHORT, ends="completed")
    script.wait(SHORT + GRACE_SECONDS + 0.01)


def writes(script: Talk) -> None:
    script.model(created("R2"))
    script.model({"type": "response.output_text.delta", "response_id": "R2", "item_id": "item_2", "delta": "It"})
    script.wait(0.25)
    script.model(done("R2"))


REPORT, TRUNCATE, CLOCK, UNKNOWN = HeardBy
SILENT_CLIENT, REPORTING = (), ("playback",)


@pytest.mark.parametrize(
    ("wants", "what", "how"),
    [
        (SILENT_CLIENT, plays_all, (CLOCK, 4_000, 1.0)),
        (SILENT_CLIENT, leaves, (UNKNOWN, None, None)),
        (SILENT_CLIENT, leaves_late, (CLOCK, 4_000, 1.0)),
        (SILENT_CLIENT, truncates, (TRUNCATE, 1_900, 1.0)),
        (SILENT_CLIENT, truncates_at_once, (TRUNCATE, 400, None)),
        (SILENT_CLIENT, truncates_before_the_end_is_said, (TRUNCATE, 1_900, 1.0)),
        (SILENT_CLIENT, says_more_than_there_is, (TRUNCATE, 4_000, 0.0)),
        (SILENT_CLIENT, barges_in, (CLOCK, 2_000, 1.0)),
        (SILENT_CLIENT, barges_in_at_once, (CLOCK, 500, None)),
        (SILENT_CLIENT, stops, (CLOCK, 2_000, 1.0)),
        (SILENT_CLIENT, says_little, (CLOCK, 400, 0.25)),
        (SILENT_CLIENT, writes, (CLOCK, None, 0.25)),
        (SILENT_CLIENT, reports, (REPORT, 3_900, 2.0)),
        (REPORTING, reports, (REPORT, 3_900, 2.0)),
        (REPORTING, reports_all_before_the_end_is_said, (REPORT, 4_000, 4.0)),
        (REPORTING, reports_some_and_leaves, (REPORT, 1_400, 1.5)),
        (REPORTING, reports_little_and_leaves, (REPORT, 700, None)),
        (REPORTING, reports_some_and_no_more, (REPORT, 1_600, 2.0)),
        (REPORTING, reports_nothing, (UNKNOWN, None, None)),
        (REPORTING, leaves, (UNKNOWN, None, None)),
        (REPORTING, truncates, (TRUNCATE, 1_900, 1.0)),
        (REPORTING, writes, (CLOCK, None, 0.25)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_was_heard_and_how_that_is_known(wants: tuple[str, ...], what: Any, how: tuple[Any, ...]) -> None:
    script = talk(*wants)
    what(script)
    assert known(script) == how
    assert {(each.job_id, each.answer_id) for each in script.told} == {(job_of("a"), "R2")}
    (played,) = [moment for moment in script.moments if moment.kind is MomentKind.RESPONSE_PLAYED]
    assert (played.detail, played.ms and round(played.ms)) == how[:2]


def test_a_result_is_spoken_as_soon_as_its_first_audio_is_passed_on() -> None:
    script = talk()
    script.answer()
    assert [(told.spoken_at, told.heard_by, told.audio_ms) for told in script.told] == [(script.now, None, None)]


@pytest.mark.parametrize("status", ["failed", "completed"])
def test_a_response_that_fails_tells_no_result(status: str) -> None:
    script = talk()
    script.answer(ends=status)
    script.wait(LONG + GRACE_SECONDS)
    assert [told.heard_by for told in script.told] == [None, *([] if status == "failed" else [CLOCK])]
    assert MomentKind.RESPONSE_PLAYED in script.kinds(), "it was heard all the same"


def test_a_result_that_came_after_the_response_began_is_not_told_by_it() -> None:
    script = Talk().opened()
    assert isinstance(script, Talk)
    script.answer(ends="completed")
    script.wait(LONG + GRACE_SECONDS)
    assert script.told == []
    assert script.kinds()[-2:] == ["response_ended", "response_played"]


def test_a_response_that_only_calls_functions_is_not_played() -> None:
    script = talk()
    script.model(created("R2"), done("R2"))
    script.wait(10.0)
    assert script.kinds() == ["response_asked", "response_began", "response_ended"][-2:]


def test_an_item_begins_where_the_one_before_it_ends() -> None:
    script = talk()
    script.answer(seconds=2.0)
    script.model({"type": "response.output_item.added", "response_id": "R2", "item": message("item_3")})
    first = {"type": "response.output_audio.delta", "response_id": "R2", "item_id": "item_3", "delta": "A" * 64_000}
    script.model(first, done("R2"))
    script.truncates(500, "item_3")
    assert known(script) == (TRUNCATE, 2_500, 0.0)


def test_a_word_about_an_item_that_is_not_known_changes_nothing() -> None:
    script = talk()
    script.answer(ends="completed")
    script.plays(4_000, "item_9")
    script.truncates(4_000, "item_9")
    assert [told.heard_by for told in script.told] == [None]


def test_a_result_stays_with_the_response_that_told_it_though_the_next_tells_another() -> None:
    script = Talk()
    script.opened()
    script.model(created("R1"), call("a"), call("b"))
    records = list(script.records)
    for record in records:
        script._do(script.conversation.recorded(record, script.now))
    script.model(done("R1"))
    for call_id, response in (("a", "R2"), ("b", "R3")):
        script.deliver(call_id)
        script.model(echo(call_id))
        script.wait(1.0)
        script.answer(response, item=f"item of {response}", ends="completed")
    script.wait(2 * LONG + GRACE_SECONDS)
    heard = [(each.answer_id, each.job_id, each.played_ms) for each in script.told if each.heard_by is not None]
    assert heard == [("R2", job_of("a"), 4_000), ("R3", job_of("b"), 4_000)]


def test_a_late_truncate_counts_more_than_the_clock() -> None:
    script = talk()
    script.answer(ends="completed")
    script.wait(2.0)
    script.model(STARTED)
    script.wait(GRACE_SECONDS / 2)
    script.truncates(700)
    assert known(script) == (TRUNCATE, 700, None)


def test_a_client_that_goes_on_playing_after_a_reconnect_is_heard() -> None:
    script = talk()
    script.answer(ends="completed")
    script._do(script.conversation.cut("upstream_closed", script.now))
    following = Talk(carried=script.conversation.carry(script.now))
    following.now = script.now
    following.model({"type": "session.created", "session": {}})
    following.truncates(1_900)
    assert known(following) == (TRUNCATE, 1_900, 0.0)


def test_what_the_connection_broke_off_is_not_told_and_its_audio_counts_for_the_timeline() -> None:
    script = talk()
    script.answer()
    script._do(script.conversation.cut("upstream_closed", script.now))
    assert script.conversation.carry(script.now).untold == {"a"}
    assert [told.heard_by for told in script.told] == [None], "the next conversation tells it again"
    assert script.kinds()[-2:] == ["response_ended", "epoch_ended"]
    assert script.moments[-2].detail == script.moments[-1].detail == "upstream_closed"


def test_responses_of_which_nothing_is_heard_do_not_pile_up() -> None:
    script = talk("playback")
    for number in range(MAX_OPEN + 3):
        script.answer(f"R{number + 2}", item=f"item_{number}", ends="completed")
    hearing = script.conversation._hearing
    assert len(hearing._answers) == MAX_OPEN
    assert [told.heard_by for told in script.told] == [None, UNKNOWN]


def test_a_report_that_comes_after_all_waiting_changes_nothing() -> None:
    script = talk("playback")
    script.answer(ends="completed")
    script.wait(LONG + REPORT_SECONDS)
    told, moments = list(script.told), list(script.moments)
    script.plays(4_000)
    assert (script.told, script.moments) == (told, moments)
    assert known(script) == (HeardBy.UNKNOWN, None, None)


def test_a_report_goes_no_further() -> None:
    script = talk("playback")
    script.answer(ends="completed")
    assert script.client(type="ringback.playback", item_id="item_2", played_ms=10) == []
