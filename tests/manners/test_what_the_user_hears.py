"""Each manner by what the user hears of it, on real processes: a gateway, a worker, and a model that talks."""

from __future__ import annotations

import asyncio

import pytest

from tests.caller import Caller, Event, spoken
from tests.line import eventually
from tests.manners.conftest import Counter, begin_to_speak, stop_speaking

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]


def found(name: str) -> str:
    return f"The {name} is found."


def may_i_close(name: str) -> str:
    """How this model asks, without a rule of its scenario."""
    return f"May I use close account with name {name}?"


def said(caller: Caller) -> list[str]:
    """What the user has heard so far, response by response."""
    return [spoken(event) for event in caller.heard if event["type"] == "response.done" and spoken(event)]


def job(counter: Counter, caller: Caller, tool: str) -> Event:
    (found,) = [each for each in counter.line.jobs(caller.session_id) if each["tool"] == tool]
    return found


async def test_one_moment_i_am_looking_and_then_the_result(counter: Counter, name: str) -> None:
    async with counter.line.call() as caller:
        await caller.ask(f"A report on {name}, please.")
        await caller.hear_words("One moment, I am looking.")
        counter.let_go(name)
        await caller.hear_words(found(name))
        assert said(caller) == ["One moment, I am looking.", found(name)]


async def test_the_model_finds_words_of_its_own_for_how_far_it_is(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"A survey of {name}, please.")
        await caller.hear_words("I'm still waiting on that.")
        (asked,) = [
            event["item"]["content"][0]["text"]
            for event in counter.line.upstream_frames()
            if event.get("item", {}).get("role") == "system" and name in str(event)
        ]
        assert f"it reports: asked the first of the {name}." in asked
        assert f"asked the first of the {name}" in [
            event["job"].get("progress") for event in caller.heard if event["type"] == "ringback.job"
        ]
        counter.let_go(name)
        await caller.hear_words(found(name))


async def test_the_user_talks_while_it_works_and_is_told_with_the_answer_to_that(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Where is parcel {name}?")
        await asyncio.to_thread(counter.begun, name)
        await begin_to_speak(caller)
        counter.let_go(name)
        await caller.hear_job("acked")  # it is in the conversation while the user speaks
        assert said(caller) == []
        await stop_speaking(caller)
        await caller.hear_words(found(name))
        assert " ".join(said(caller)).count(found(name)) == 1


async def test_a_result_that_comes_after_the_user_has_moved_on_is_told_at_the_next_quiet_moment(
    counter: Counter, name: str
) -> None:
    async with counter.line.call() as caller:
        await caller.ask(f"Where is parcel {name}?")
        await asyncio.to_thread(counter.begun, name)
        await begin_to_speak(caller)
        await stop_speaking(caller)
        await caller.hear_words("Go on.")
        counter.let_go(name)
        await caller.hear_words(found(name))
        assert said(caller) == ["Go on.", found(name)]


async def test_a_silent_result_is_told_when_it_is_asked_for(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Please audit {name}.")
        await asyncio.to_thread(counter.begun, name)
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        counter.let_go(name)
        await caller.hear_job("acked")
        await caller.ask("hello")
        told = await caller.hear_words("Good day.")
        assert found(name) in spoken(told), "the model had it, and said nothing until somebody spoke to it"


async def test_what_is_not_wanted_when_the_user_talks_on_is_stopped_and_not_mentioned(
    counter: Counter, name: str
) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Play the song {name}.")
        await asyncio.to_thread(counter.begun, name)
        await begin_to_speak(caller)
        await asyncio.to_thread(counter.cancelled, name)
        await caller.hear_job("cancelled")
        await stop_speaking(caller)
        await caller.hear_kind("response.done")
        assert job(counter, caller, "song")["state"] == "cancelled"


async def test_forget_it_and_the_work_is_stopped_and_told_once(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Where is parcel {name}?")
        await asyncio.to_thread(counter.begun, name)
        await caller.ask("forget it")
        while "There is nothing to stop." in (heard := await caller.hear_answer()) or "does not have it" in heard:
            await caller.ask("forget it")  # it is offered once the call has been running for a moment
        assert "I have stopped parcel." in heard
        await asyncio.to_thread(counter.cancelled, name)
        if not any(event.get("job", {}).get("state") == "cancelled" for event in caller.heard):  # it may come first
            await caller.hear_job("cancelled")
        await caller.ask("hello")
        await caller.hear_words("Good day.")
        assert [text for text in said(caller) if "stopped" in text] == ["I have stopped parcel."]


async def test_an_operator_stops_the_work_and_the_user_is_told(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Where is parcel {name}?")
        await caller.hear_job("pending")
        await asyncio.to_thread(counter.begun, name)
        running = job(counter, caller, "parcel")
        await asyncio.to_thread(counter.line.post, f"/v1/jobs/{running['id']}/cancel")
        await caller.hear_words("No parcel: ")
        await asyncio.to_thread(counter.cancelled, name)
        assert job(counter, caller, "parcel")["state"] == "cancelled"


async def test_the_same_question_twice_is_worked_on_once_and_both_are_answered(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Where is parcel {name}?")
        await asyncio.to_thread(counter.begun, name)
        await caller.hear_kind("response.done")
        await caller.ask(f"Where is parcel {name}?")
        both = "the second call, by its row: the client may hear of the first one as late as now"
        await asyncio.to_thread(eventually, lambda: len(counter.line.jobs(caller.session_id)) == 2, both)
        counter.let_go(name)
        first, second = await caller.hear_job("acked"), await caller.hear_job("acked")
        assert first["job"]["call_id"] != second["job"]["call_id"]
        rows = counter.line.jobs(caller.session_id)
        assert [row["state"] for row in rows] == ["succeeded", "succeeded"]
        assert sorted(row["attempt"] for row in rows) == [0, 1], "one of them was never run"


async def test_nothing_is_done_before_the_user_says_yes(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Please close {name}.")
        await caller.hear_words(may_i_close(name))
        assert not counter.has_begun(name)
        await caller.ask("yes")
        await caller.hear_words("Then I do it: close_account.")
        await asyncio.to_thread(counter.begun, name)
        counter.let_go(name)
        await caller.hear_words(found(name))


async def test_a_no_is_answered_and_nothing_is_done(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Please close {name}.")
        await caller.hear_words(may_i_close(name))
        await caller.ask("no")
        await caller.hear_words("Then I leave it: close_account.")
        refused = await asyncio.to_thread(
            eventually, lambda: job(counter, caller, "close_account")["error"], "the call to be answered"
        )
        assert refused["code"] == "approval_denied"
        assert not counter.has_begun(name)


async def test_a_client_is_asked_instead_where_it_wants_to_be(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs,approvals") as caller:
        await caller.ask(f"Please close {name}.")
        asked = await caller.hear_kind("ringback.approval.requested")
        assert asked["job"]["arguments"] == {"name": name}
        await caller.send({"type": "ringback.approval.respond", "job_id": asked["job"]["id"], "approved": True})
        await asyncio.to_thread(counter.begun, name)
        counter.let_go(name)
        await caller.hear_words(found(name))


async def test_a_yes_from_elsewhere_ends_the_question_and_a_no_that_comes_after_it_is_no_lie(
    counter: Counter, name: str
) -> None:
    async with counter.line.call(ringback="jobs") as caller:
        await caller.ask(f"Please close {name}.")
        await caller.hear_words(may_i_close(name))
        asked = job(counter, caller, "close_account")
        await asyncio.to_thread(counter.line.post, f"/v1/jobs/{asked['id']}/approve")
        await asyncio.to_thread(counter.begun, name)
        await caller.hear_job("running")  # what it reports of itself: by then the gateway knows of the yes as well
        await caller.ask("no")
        assert "I leave it" not in await caller.hear_answer()
        counter.let_go(name)
        await caller.hear_words(found(name))


async def test_a_question_that_nobody_answers_is_over_after_a_while(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="jobs,approvals") as caller:
        await caller.ask(f"Please delete {name}.")
        await caller.hear_words("Not deleted: approval_expired")
        assert not counter.has_begun(name)


async def test_a_chart_is_on_the_screen_and_the_model_does_not_read_it_out(counter: Counter, name: str) -> None:
    async with counter.line.call(ringback="results") as caller:
        await caller.ask(f"A chart of {name}.")
        shown = await caller.hear_kind("ringback.result")
        assert shown["result"] == {"subject": name, "secret": "only for the screen"}
        await caller.hear_words("Look at your screen.")
        told = [str(event) for event in counter.line.upstream_frames() if event["type"] == "conversation.item.create"]
        assert not [text for text in told if "only for the screen" in text]


async def test_without_a_screen_the_user_is_told_so(counter: Counter, name: str) -> None:
    async with counter.line.call() as caller:
        await caller.ask(f"A chart of {name}.")
        await caller.hear_words("You have no screen.")


async def test_a_function_that_comes_during_the_talk_can_be_asked_for(counter: Counter, name: str) -> None:
    counter.line.processes.kill("worker")
    await asyncio.to_thread(eventually, lambda: not counter.line.get("/v1/tools")["data"], "nobody to serve anything")
    async with counter.line.call() as caller:
        await caller.ask(f"Where is parcel {name}?")
        await caller.hear_words("this session does not have it")
        await asyncio.to_thread(counter.line.restart, "worker")
        while "does not have it" in await _answer_to(caller, f"Where is parcel {name}?"):
            pass
        await asyncio.to_thread(counter.begun, name)
        counter.let_go(name)
        await caller.hear_words(found(name))


async def _answer_to(caller: Caller, question: str) -> str:
    """What the next response says to it: nothing, where it has called a function."""
    await caller.ask(question)
    return spoken(await caller.hear_kind("response.done"))
