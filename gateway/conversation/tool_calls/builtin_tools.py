"""Functions that the gateway itself offers the model, if the agent's tools have a use for them.

    cancel_call       if the caller may cancel a call
    answer_approval   if a call may need approval, and the user is asked for it instead of the client
    end_call          on the phone, if the agent's file does not say otherwise
    transfer_call     on the phone, if the agent's file names a place to transfer to

They are offered from the beginning, even while no call runs. Tools stand in front of all that was said, so a list that
changes costs the server's prompt cache of the whole talk. If there is no call to cancel or approve, the answer says so.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gateway.conversation.actions import Action, Cancel, Decide
from gateway.conversation.call_table import Call, CallTable
from gateway.conversation.turn_taking.call_end import CallEnd
from gateway.conversation.turns import UserTurns
from ringback.agents.phone import Phone
from ringback.jobs.outcomes import Outcome, failed, succeeded
from ringback.jobs.states import CancelReason, Effect
from ringback.tools.declaration import OURS
from ringback.tools.spec import ToolSpec

CANCEL, ANSWER, END, TRANSFER = "cancel_call", "answer_approval", "end_call", "transfer_call"
ENDS = frozenset({END, TRANSFER})
"""Whoever asks for one of these has said what there is to say: its answer is not spoken of."""

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
    END: {
        "type": "function",
        "name": END,
        "description": (
            "Hang up. Call it when the caller has said goodbye, or wants nothing more, and say goodbye first. "
            "The caller hears all that you have said before the call ends."
        ),
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
    TRANSFER: {
        "type": "function",
        "name": TRANSFER,
        "description": "Transfer the caller to a person, and say so first. The conversation with you ends with that.",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "string"}},
            "required": ["to"],
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
        phone: what the agent may do with a phone call; None: it is none.
        call_end: ends the call.
    """

    calls: CallTable
    turns: UserTurns
    asks_aloud: bool = True
    phone: Phone | None = None
    call_end: CallEnd | None = None

    def offered(self, tools: Collection[ToolSpec]) -> list[dict[str, Any]]:
        """Return the functions that have a use beside these tools."""
        names = [CANCEL] if any(tool.behavior.cancellable for tool in tools) else []
        orphans = any(tool.behavior.is_untrusted for tool in tools)
        if self.asks_aloud and any(
            tool.behavior.requires_approval or (orphans and tool.effect is not Effect.PURE) for tool in tools
        ):
            names.insert(0, ANSWER)
        return [*(TOOLS[name] for name in names), *self._of_phone()]

    def _of_phone(self) -> list[dict[str, Any]]:
        if self.phone is None:
            return []
        places = sorted(self.phone.transfer_to)
        transfer = copy.deepcopy(TOOLS[TRANSFER])
        transfer["parameters"]["properties"]["to"]["enum"] = places
        return [*([TOOLS[END]] if self.phone.ends_calls else []), *([transfer] if places else [])]

    def serve(self, call: Call, arguments: Any, now: float) -> Answer:
        """Serve a call of one of them. Its arguments are checked here."""
        name, arguments = call.name, arguments if isinstance(arguments, dict) else {}
        if name in ENDS:
            return self._end(call, arguments.get("to"), now), []
        which = arguments.get("function")
        if name == CANCEL:
            return self._cancel(self._meant(self.calls.cancellable(), which))
        return self._answer(self._meant(self.calls.waiting_for_yes(), which), arguments.get("approved"), now)

    def decide(self, call: Call, now: float, *, approved: bool) -> list[Action]:
        """Note the answer to a call that waited for approval."""
        call.may_begin(now, self.turns.number)
        call.is_denied = not approved
        return [Decide(call.job_id, approved)] if call.job_id else []

    def remember_end(self, call: Call, now: float, *, is_wanted: bool) -> None:
        """Go on with the end of the phone call for which the model has asked earlier.

        Args:
            is_wanted: another gateway was asked, and the caller has said nothing since.
        """
        call.is_unwanted = True  # its answer is not spoken of
        phone, call_end, is_transfer = self.phone, self.call_end, call.name == TRANSFER
        if is_wanted and phone is not None and call_end is not None and (is_transfer or phone.ends_calls):
            call_end.remember(is_transfer=is_transfer, response=call.response_id, now=now)

    def _end(self, call: Call, place: object, now: float) -> Outcome:
        """Note that the model wants the call to end, or to be transferred to a place of the agent's file."""
        phone, call_end = self.phone, self.call_end
        if phone is None or call_end is None or (call.name == END and not phone.ends_calls):
            return failed("no_phone_call", "There is no phone call that you could end or transfer.")
        target = phone.transfer_to.get(place) if isinstance(place, str) and call.name == TRANSFER else None
        if call.name == TRANSFER and target is None:
            places = ", ".join(sorted(phone.transfer_to)) or "none"
            return failed("unknown_place", f"There is no such place to transfer to. The places are: {places}.")
        call_end.ask(target, call.response_id, now)
        call.is_unwanted = True  # its answer is not spoken of
        said = "The call is transferred" if target else "The call ends"
        return succeeded(
            f"{said} as soon as the caller has heard you. If you have not said so, do it now, in one sentence."
        )

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
