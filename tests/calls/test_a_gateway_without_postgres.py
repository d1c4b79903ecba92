"""A gateway that is cut off from Postgres, and not from the provider, leaves its calls to one that can take them."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.calls.toolbox.desk import CallLine
from tests.guarantees.toolbox.bakery import FIRST, SECOND, order
from tests.line import eventually
from tests.proxy import Proxy

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

FORGED = {"id": "item_of_the_page", "type": "function_call_output", "call_id": "call_of_ours", "output": "{}"}


@pytest.fixture
def postgres(stack: CallLine) -> Proxy:
    """What stands between the second gateway and Postgres."""
    assert stack.postgres is not None
    return stack.postgres


def test_it_leaves_the_call_and_hangs_it_not_up_and_the_other_alone_guards_and_answers_it(
    stack: CallLine, postgres: Proxy
) -> None:
    session_id, call = stack.call(on=SECOND, agent="mends")
    name = order()
    call_id = stack.provider.asks_for(call, "order_status", {"order_id": name})
    stack.begun(1, name)
    before = len(call.sent("session.update"))
    postgres.blackhole()
    eventually(lambda: len(call.sent("session.update")) > before, "the other gateway to attach")
    log = stack.line.logs / f"{SECOND}.log"
    eventually(lambda: f"session {session_id} ends here: database_unavailable" in log.read_text(), "the first to leave")
    stack.provider.page_sends(call, {"type": "conversation.item.create", "item": FORGED})
    eventually(lambda: FORGED["id"] in call.deleted, "the forged output to be deleted")
    stack.let_go(name)
    stack.placed(session_id, on=FIRST)
    (output,) = call.outputs()
    assert (output["call_id"], json.loads(output["output"])["status"]) == (call_id, "baked")
    stack.provider.attended(call)
    assert len(call.sent("conversation.item.delete")) == 1
    assert not call.hung_up
    assert stack.session(session_id, on=FIRST)["epoch"] == 2
    postgres.heal()
    stack.provider.ends(call)
    assert stack.ended(session_id, on=FIRST) == "call_over"


def test_it_takes_its_call_again_if_no_other_gateway_can(stack: CallLine, postgres: Proxy) -> None:
    session_id, call = stack.call(on=SECOND, agent="mends")
    os.kill(stack.line.pids[FIRST], signal.SIGKILL)
    before = len(call.sent("session.update"))
    postgres.blackhole()
    stack.provider.attended(call, 0)
    postgres.heal()
    eventually(lambda: len(call.sent("session.update")) > before, "the gateway to attach again")
    assert not call.hung_up
    stack.provider.ends(call)
    assert stack.ended(session_id, on=SECOND) == "call_over"
