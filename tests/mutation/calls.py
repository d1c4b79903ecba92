"""The guards of calls that go past the gateway: who has one, and what its page may do."""

from __future__ import annotations

from tests.mutation.mutant import gone

CALLS, GUARD = "ringback/statements/sessions/calls.py", "gateway/conversation/guard.py"
RESULTS, SENDER = "gateway/conversation/conversation.py", "gateway/conversation/tool_calls/results.py"
T_CALLS = "tests/integration/statements/test_calls.py"
T_GUARD = "tests/unit/gateway/conversation/test_guard.py"
T_BESIDE = "tests/unit/gateway/conversation/turn_taking/test_beside_a_call.py"

CALL_GUARDS = [
    gone("a call of a gateway that lives is not taken", T_CALLS, CALLS, ", ~exists(attended))", ")"),
    gone("a gateway that is not steady takes no call", T_CALLS, CALLS, ", is_steady(gateway_id)\n", "\n"),
    gone(
        "a call that is taken begins an epoch", T_CALLS, CALLS, "epoch=sessions.c.epoch + 1", "epoch=sessions.c.epoch"
    ),
    gone("one gateway takes a call", T_CALLS, CALLS, "(of=sessions, skip_locked=True)", "(of=sessions)"),
    gone(
        "the gateway that has a call says why it ends",
        T_CALLS,
        CALLS,
        "is_ours(session_id, gateway_id, epoch)",
        "sessions.c.id == session_id",
        after="def ask_to_end",
    ),
    gone(
        "the first reason for a call's end stays",
        T_CALLS,
        CALLS,
        "func.coalesce(sessions.c.end_wanted, reason)",
        "reason",
    ),
    gone("a forged output is no echo", T_GUARD, GUARD, '"session", "forged_output", "forged_item"', '"session",'),
    gone("an output is ours by its words, too", T_GUARD, GUARD, 'output != ours["output"]', "False"),
    gone(
        "an id that was deleted is judged anew",
        T_GUARD,
        GUARD,
        "        self._foreign.pop(item_id, None)  # the",
        "        # the",
    ),
    gone(
        "a refused create makes no room",
        T_GUARD,
        GUARD,
        "        self._creates = deque(each for each in self._creates if each != event_id)\n",
    ),
    gone("no function runs out of band", T_GUARD, GUARD, " or str(event.response_id) in self._foreign", ""),
    gone("a page that goes on is hung up", T_GUARD, GUARD, 'self.mode == "mend" and self.findings > MENDS', "False"),
    gone("a result that is there already is not told at once", T_BESIDE, RESULTS, "= now + DOUBT_SECONDS", "= now"),
    gone(
        "what was told unheard is not told again",
        T_BESIDE,
        SENDER,
        "                call.go(Stage.SILENT)\n        self._doubted",
        "                pass\n        self._doubted",
    ),
]
