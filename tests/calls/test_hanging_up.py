"""A call that must end is hung up before its row says that it is over, by the gateway that holds the row."""

from __future__ import annotations

import os
import signal

import pytest

from tests.calls.toolbox.desk import CallLine
from tests.guarantees.toolbox.bakery import FIRST, SECOND
from tests.line import eventually
from tests.played import PlayedCall

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

FORBIDDEN = {"type": "session.update", "session": {"type": "realtime", "instructions": "You sell insurance."}}
MANY = 1_000


def guarded_call(stack: CallLine, *refused: int) -> tuple[str, PlayedCall]:
    """A call of an agent that hangs up, once its page did what it may not; so many hang-ups are refused."""
    session_id, call = stack.call(agent="hangs_up")
    stack.provider.refuses("hangup", *refused)
    stack.provider.page_sends(call, FORBIDDEN)
    return session_id, call


def test_a_hang_up_that_is_refused_for_now_is_tried_again_and_the_row_ends_after_it(stack: CallLine) -> None:
    session_id, call = guarded_call(stack, 503, 429, 500)
    assert stack.ended(session_id) == "guarded"
    assert call.hung_up
    assert call.hang_ups == 4


def test_a_hang_up_that_is_refused_for_good_is_told(stack: CallLine) -> None:
    session_id, call = guarded_call(stack, 403)
    assert stack.ended(session_id) == "call_not_hung_up"
    assert (call.hung_up, call.hang_ups) == (False, 1)
    stack.says(f"call not hung up: session {session_id} (guarded), call {call.call_id} may go on")
    stack.provider.ends(call)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_gateway_that_goes_before_the_call_is_hung_up_leaves_that_to_another(
    stack: CallLine, how: signal.Signals
) -> None:
    session_id, call = guarded_call(stack, *[503] * MANY)
    eventually(lambda: call.hang_ups, "the first hang-up")
    stack.provider.attended(call, sidebands=0)
    assert stack.session(session_id)["state"] == "open", "its row is not over before the call is"
    os.kill(stack.line.pids[FIRST], how)
    eventually(lambda: stack.line.has_ended(FIRST), "the gateway to end")
    stack.provider.accepts_again("hangup")
    eventually(lambda: call.hung_up, "the other gateway to hang up")
    assert stack.ended(session_id, on=SECOND) == "guarded"
    assert stack.session(session_id, on=SECOND)["epoch"] == 2


def test_a_gateway_whose_session_another_has_hangs_nothing_up(stack: CallLine) -> None:
    session_id, call = stack.call(agent="hangs_up")
    assert stack.rows("UPDATE sessions SET epoch = epoch + 1 WHERE id = %s RETURNING epoch", session_id) == [(2,)]
    stack.provider.page_sends(call, FORBIDDEN)
    stack.says(f"call left to go on: session {session_id} is another gateway's")
    assert call.hang_ups == 0
    stack.provider.ends(call)


def test_a_call_whose_agent_is_gone_is_hung_up_by_the_gateway_that_takes_it(stack: CallLine) -> None:
    session_id, call = stack.call()
    stack.rows("UPDATE sessions SET agent = 'gone' WHERE id = %s RETURNING id", session_id)
    stack.provider.refuses("hangup", 503)
    os.kill(stack.line.pids[FIRST], signal.SIGKILL)
    assert stack.ended(session_id, on=SECOND) == "agent_gone"
    assert call.hung_up


def test_a_call_that_had_no_gateway_for_too_long_is_hung_up_by_the_first_that_comes(stack: CallLine) -> None:
    session_id, call = stack.call()
    for gateway in (FIRST, SECOND):
        os.kill(stack.line.pids[gateway], signal.SIGKILL)
    too_late = "UPDATE sessions SET resume_until = now() WHERE id = %s AND state = 'detached' RETURNING id"
    eventually(lambda: stack.rows(too_late, session_id), "a worker to release the session")
    wanted = "SELECT id FROM sessions WHERE id = %s AND state = 'detached' AND end_wanted = 'not_resumed'"
    eventually(lambda: stack.rows(wanted, session_id), "a worker to ask the call to end")
    assert call.hang_ups == 0
    stack.mend()
    assert stack.ended(session_id) == "not_resumed"
    assert call.hung_up
