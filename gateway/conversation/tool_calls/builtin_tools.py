"""Functions that the gateway itself offers the model, if the agent's tools have a use for them.

    cancel_call       if the caller may cancel a call
    answer_approval   if a call may need approval, and the user is asked for it instead of the client

They are offered from the beginning, even while no call runs. Tools stand in front of all that was said, so a list that
changes costs the server's prompt cache of the whole talk. If there is no call to cancel or approve, the answer says so.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gateway.conversation.actions import Action, Cancel, Decide
from gateway.conversation.call_table import Call, CallTable
from gateway.conversation.turns import UserTurns
from ringback.jobs.outcomes import Outcome, failed, succeeded
from ringback.jobs.states import CancelReason, Effect
from ringback.tools.declaration import OURS
from ringback.tools.spec import ToolSpec

CANCEL, ANSWER = "cancel_call", "answer_approval"

_WHICH = {"type": "string", "description": "the name of the function, as you called it; leave it out to mean all"}
TOOLS: dict[str, dict[str, Any]] = {
    CANCEL: {
        "type": "function",
        "name": CANCEL,
        "description": "Stop a function that is still running, when the user does not want it any more.",
        "parameters": {"type": "object", "properties": {"function": _WHICH}, "additionalProperties": False},
    },
    ANSWER: {
        "type": "function",
        "name": ANSWER,
        "description": (
            "Pass on what the user has answered when they were asked whether a function may be run. "
            "Call it only after the user has clearly said yes or no."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "approved": {"type": "boolean", "description": "true where the user has said yes"},
                "function": _WHICH,
            },
            "required": ["approved"],
            "additionalProperties": False,
        },
    },
}
assert frozenset(TOOLS) == OURS, "no tool may be declared under these names"  # noqa: S101

Answer = tuple[Outcome, list[Action]]
"""The outcome that the model is told, and the actions that follow."""


@dataclass(slots=True)
class BuiltinTools:
    """Chooses which of them a conversation offers, and serves their calls.

    Args:
        calls: the calls of the conversation.
        turns: the user's turns.
        asks_aloud: True if the user is asked for approval; False if the client is.
    """

    calls: CallTable
    turns: UserTurns
    asks_aloud: bool = True

    def offered(self, tools: Collection[ToolSpec]) -> list[dict[str, Any]]:
        """Return the functions that have a use beside these tools."""
        names = [CANCEL] if any(tool.behavior.cancellable for tool in tools) else []
        orphans = any(tool.behavior.is_untrusted for tool in tools)
        if self.asks_aloud and any(
            tool.behavior.requires_approval or (orphans and tool.effect is not Effect.PURE) for tool in tools
        ):
            names.insert(0, ANSWER)
        return [TOOLS[name] for name in names]

    def serve(self, name: str, arguments: Any, now: float) -> Answer:
        """Serve a call of one of them. Its arguments are checked here."""
        arguments = arguments if isinstance(arguments, dict) else {}
        which = arguments.get("function")
        if name == CANCEL:
            return self._cancel(self._meant(self.calls.cancellable(), which))
        return self._answer(self._meant(self.calls.waiting_for_yes(), which), arguments.get("approved"), now)

    def decide(self, call: Call, now: float, *, approved: bool) -> list[Action]:
        """Note the answer to a call that waited for approval."""
        call.may_begin(now, self.turns.number)
        call.is_denied = not approved
        return [Decide(call.job_id, approved)] if call.job_id else []

    def _cancel(self, meant: list[Call]) -> Answer:
        if not meant:
            return failed("nothing_to_cancel", "No such function is running. Its result may be there already."), []
        for call in meant:
            self.calls.unwant(call)
        names = ", ".join(call.name for call in meant)
        return succeeded({"cancelled": names}), [
            Cancel(call.job_id, CancelReason.CALLER) for call in meant if call.job_id
        ]

    def _answer(self, meant: list[Call], approved: object, now: float) -> Answer:
        if not isinstance(approved, bool):
            return failed("invalid_arguments", "approved must be true or false. Correct it and call again."), []
        if not meant:
            return failed("nothing_to_approve", "No function waits for the user's answer any more."), []
        answered = [call for call in meant if self._was_answered(call)]
        if not answered:
            return failed("not_answered", "The user has not answered yet. Ask them, and wait for what they say."), []
        actions = [action for call in answered for action in self.decide(call, now, approved=approved)]
        for call in answered if not approved else ():
            self.calls.unwant(call)  # The answer to this very call tells of it.
        names = ", ".join(call.name for call in answered)
        return succeeded({"approved" if approved else "denied": names}), actions

    def _was_answered(self, call: Call) -> bool:
        """Return True if the user has heard the question and has had a turn since: only then an answer counts."""
        return call.question_heard_in is not None and self.turns.number > call.question_heard_in

    @staticmethod
    def _meant(all_of_them: list[Call], which: object) -> list[Call]:
        return [call for call in all_of_them if not isinstance(which, str) or not which or call.name == which]
