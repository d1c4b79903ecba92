"""A call by WebRTC: placed with our session, answered at once, and served from beside."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.calls.toolbox.desk import CallLine
from tests.guarantees.toolbox.bakery import FIRST, SECOND, order
from tests.line import KEY, eventually
from tests.played import OFFER

TAKEN_OVER_SECONDS = 3.0
"""As docs/guarantees.md promises."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]


def test_it_is_placed_with_our_session_and_our_key_and_answered_with_our_id(stack: CallLine) -> None:
    answer = stack.asks()
    assert (answer.status_code, answer.text) == (201, stack.provider.answers_sent[-1])
    assert answer.headers["content-type"] == "application/sdp"
    session_id = answer.headers["location"].removeprefix("/v1/realtime/calls/")
    kind, body = stack.provider.placed[-1]
    assert kind.startswith("multipart/form-data")
    assert OFFER.encode() in body
    assert KEY.encode() not in body
    call = stack.provider.only
    assert call.session["model"]
    assert call.session["instructions"].startswith("You help callers of a bakery")
    assert [tool["name"] for tool in call.session["tools"]][:2] == ["order_status", "weather"]
    stack.provider.attended(call)
    shown = stack.session(session_id)
    assert (shown["transport"], shown["call_id"], shown["state"]) == ("webrtc", call.call_id, "open")
    stack.provider.ends(call)
    assert stack.ended(session_id) == "call_over"


def test_a_call_of_a_function_runs_as_a_job_and_its_result_goes_to_the_sideband(stack: CallLine) -> None:
    session_id, call = stack.call()
    name = order()
    call_id = stack.provider.asks_for(call, "order_status", {"order_id": name})
    stack.begun(1, name)
    stack.let_go(name)
    (job,) = stack.placed(session_id)
    assert (job["call_id"], job["state"]) == (call_id, "succeeded")
    (output,) = call.outputs()
    assert output["call_id"] == call_id
    assert json.loads(output["output"])["status"] == "baked"
    eventually(lambda: call.responses, "the model to be asked to tell it")
    assert len(call.responses) == 1
    stack.provider.ends(call)
    assert stack.ended(session_id) == "call_over"


def test_a_result_that_was_lost_with_its_sideband_goes_over_the_next_one(stack: CallLine) -> None:
    session_id, call = stack.call()
    name = order()
    call_id = stack.provider.asks_for(call, "order_status", {"order_id": name})
    stack.begun(1, name)
    stack.provider.ignores(call)
    stack.let_go(name)
    eventually(lambda: call.sent("conversation.item.create"), "the gateway to send the result")
    assert call.outputs() == []
    stack.provider.drops(call, 1006)
    stack.placed(session_id)
    assert [output["call_id"] for output in call.outputs()] == [call_id]
    eventually(lambda: call.responses, "the model to be asked to tell it")
    stack.provider.ends(call)
    assert stack.ended(session_id) == "call_over"


def test_the_answer_does_not_wait_for_a_sideband_that_is_not_there_yet(stack: CallLine) -> None:
    stack.provider.refuses("sideband", 404, times=3)
    assert stack.asks().status_code == 201
    stack.provider.attended(stack.provider.only)
    stack.provider.ends(stack.provider.only)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_another_gateway_takes_the_call_over_and_tells_the_result_once(stack: CallLine, how: signal.Signals) -> None:
    session_id, call = stack.call(on=FIRST)
    name = order()
    call_id = stack.provider.asks_for(call, "order_status", {"order_id": name})
    stack.begun(1, name)
    before = len(call.sent("session.update"))
    clock = stack.clock()
    os.kill(stack.line.pids[FIRST], how)
    eventually(lambda: len(call.sent("session.update")) > before, "another gateway to attach")
    assert clock.seconds < TAKEN_OVER_SECONDS
    stack.let_go(name)
    stack.placed(session_id, on=SECOND)
    assert [output["call_id"] for output in call.outputs()] == [call_id]
    eventually(lambda: call.responses, "the model to be asked to tell it")
    assert stack.session(session_id, on=SECOND)["epoch"] == 2
    stack.provider.ends(call)
    assert stack.ended(session_id, on=SECOND) == "call_over"
    assert len(call.responses) == 1


def test_a_call_whose_browser_connects_after_its_gateway_was_killed_is_joined_by_another(stack: CallLine) -> None:
    stack.provider.refuses("sideband", 404, times=1_000)
    session_id = stack.asks(on=FIRST).headers["location"].rpartition("/")[2]
    os.kill(stack.line.pids[FIRST], signal.SIGKILL)
    eventually(lambda: stack.session(session_id, on=SECOND)["epoch"] == 2, "another gateway to take the call")
    asked = stack.provider.control.left("sideband")
    eventually(
        lambda: stack.provider.control.left("sideband") <= asked - 2, "it to be told twice that there is no call yet"
    )
    stack.provider.accepts_again("sideband")
    call = stack.provider.only
    stack.provider.attended(call)
    assert (call.is_over, call.hang_ups) == (False, 0)
    stack.provider.ends(call)
    assert stack.ended(session_id, on=SECOND) == "call_over"


def test_a_call_that_is_over_is_hung_up_all_the_same_as_it_may_only_seem_so(stack: CallLine) -> None:
    session_id, call = stack.call()
    stack.provider.refuses("sideband", 404, times=1_000)
    stack.provider.drops(call)
    assert stack.ended(session_id) == "call_over"
    assert call.hung_up
