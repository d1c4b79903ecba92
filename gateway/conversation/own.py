"""The functions that the gateway itself offers the model, each only while there is something to do with it.

    cancel_call       while a call has been running for a moment that the caller may have cancelled
    answer_approval   while a call waits for the user's yes, and no client was asked for it instead

They are offered and withdrawn by a `session.update` of ours with the tools alone (Realtime API, session.update).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Action, Cancel, Decide
from gateway.conversation.board import Board, Running
from ringback.declaring import OURS
from ringback.jobs import CancelReason
from ringback.outcomes import Outcome, failed, succeeded

CANCEL, ANSWER = "cancel_call", "answer_approval"
OFFER_SECONDS = 1.5
"""How long a call must have run before it can be cancelled by name: nobody asks for that sooner, and most are over."""

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
"""What the model is told, and what is to be done."""


@dataclass(slots=True)
class OwnTools:
    """What of them is offered in one conversation, and what a call of them does.

    Args:
        board: the calls that are under way.
        asks_aloud: True where approval is the user's to speak; False where the client is asked.
    """

    board: Board
    asks_aloud: bool = True
    offered: frozenset[str] = field(default_factory=frozenset)
    """What the model may call now."""

    def offer(self, now: float) -> frozenset[str] | None:
        """The names to offer from now on; None where nothing changes."""
        if not self.board and not self.offered:  # Asked at each event, and mostly nothing runs.
            return None
        wanted = self._wanted(now)
        if wanted == self.offered:
            return None
        self.offered = wanted
        return wanted

    def wake_at(self, now: float) -> float | None:
        """When a call has run for long enough to be cancelled by name; None where nothing changes by itself."""
        if not self.board or CANCEL in self.offered:
            return None
        return min((each.began_at + OFFER_SECONDS for each in self._by_name()), default=None)

    def serve(self, name: str, arguments: Any, now: float) -> Answer:
        """A call of one of them. Arguments were not held against the schema: they are held against it here."""
        arguments = arguments if isinstance(arguments, dict) else {}
        which = arguments.get("function")
        if name == CANCEL:
            return self._cancel(self._meant(self.board.cancellable(), which))
        return self._answer(self._meant(self.board.waiting_for_yes(), which), arguments.get("approved"), now)

    def decide(self, running: Running, now: float, *, approved: bool) -> list[Action]:
        """The word on a call that waited for it."""
        running.may_begin(now, self.board.turn)
        running.is_denied = not approved
        return [Decide(running.job_id, approved)]

    def _wanted(self, now: float) -> frozenset[str]:
        cancel = any(each.began_at + OFFER_SECONDS <= now for each in self._by_name())
        answer = self.asks_aloud and bool(self.board.waiting_for_yes())
        return frozenset({CANCEL} if cancel else ()) | frozenset({ANSWER} if answer else ())

    def _by_name(self) -> list[Running]:
        return [each for each in self.board.cancellable() if not each.waits_for_yes]

    def _cancel(self, meant: list[Running]) -> Answer:
        if not meant:
            return failed("nothing_to_cancel", "No such function is running. Its result may be there already."), []
        for each in meant:
            self.board.unwant(each)
        names = ", ".join(each.name for each in meant)
        return succeeded({"cancelled": names}), [Cancel(each.job_id, CancelReason.CALLER) for each in meant]

    def _answer(self, meant: list[Running], approved: object, now: float) -> Answer:
        if not isinstance(approved, bool):
            return failed("invalid_arguments", "approved must be true or false. Correct it and call again."), []
        if not meant:
            return failed("nothing_to_approve", "No function waits for the user's answer any more."), []
        answered = [each for each in meant if self._was_answered(each)]
        if not answered:
            return failed("not_answered", "The user has not answered yet. Ask them, and wait for what they say."), []
        actions = [action for each in answered for action in self.decide(each, now, approved=approved)]
        for each in answered if not approved else ():
            self.board.unwant(each)  # The answer to this very call tells of it.
        names = ", ".join(each.name for each in answered)
        return succeeded({"approved" if approved else "denied": names}), actions

    def _was_answered(self, running: Running) -> bool:
        """A yes counts after the user was asked, and has said something since."""
        return running.asked_in_turn is not None and self.board.turn > running.asked_in_turn

    @staticmethod
    def _meant(all_of_them: list[Running], which: object) -> list[Running]:
        return [each for each in all_of_them if not isinstance(which, str) or not which or each.name == which]
