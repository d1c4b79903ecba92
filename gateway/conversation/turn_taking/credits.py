"""Credits: which response told which result.

A result is credited to a response when that begins. If the server had shown the result by then, the credit is sure. If
the result was only sent before the create of the response, it may not have been there: the server may refuse that
create, and then the response was another's. A response that fails, or that is cut off before anything of it was
heard, has told no result.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.conversation.call_table import Call, CallTable, Credit, Stage
from gateway.conversation.turn_taking.slot import Active, By


@dataclass(slots=True)
class Credits:
    """Credits of one conversation, kept in the records of its calls."""

    calls: CallTable
    _given_up: list[tuple[Call, Credit]] = field(default_factory=list)
    """What the last response that was taken for dead was to tell."""

    def began(self, active: Active) -> list[Call]:
        """Credit a response that began with what it can tell; return the calls whose results that is."""
        tells, credited = active.by.tells_results, list[Call]()
        for call in self.calls:
            is_there = call.is_echoed or (tells and call.call_id in active.about and call.landed_at <= active.asked)
            if (call.is_untold and is_there) or (tells and call.is_echoed and call.credit is not None):
                call.give_credit(active.response, active.create)
                credited.append(call)
        return credited

    def gave_up(self, active: Active) -> None:
        """Remember what a response was to tell that is taken for dead."""
        credited = (call for call in self.calls if self._is_credited(call, active))
        self._given_up = [(call, call.credit) for call in credited if call.credit is not None]

    def came_back(self) -> None:
        """Credit that response again, as it goes on: with what it was to tell, and no result that came since."""
        for call, credit in self._given_up:
            if call.is_untold:
                call.give_credit(credit.response, credit.create)
                call.credit = credit
        self._given_up = []

    def refused(self, create: str) -> None:
        """Take back the unsure credits of a create that began no response."""
        for call in self.calls:
            if call.credit is not None and call.credit.create == create and not call.credit.is_sure:
                call.take_back()

    def ended(self, active: Active, *, was_said: bool) -> None:
        """Settle the credits of a response that ended."""
        for call in self.calls:
            if self._is_credited(call, active):
                if was_said and active.by.tells_results:
                    call.go(Stage.TOLD)
                else:
                    call.take_back()

    def close(self, latest: str | None) -> None:
        """Make credits sure before a create goes out, except the `latest` create's: no other can be refused."""
        for call in self.calls:
            if call.stage is Stage.TOLD and call.credit is not None and call.credit.create != latest:
                call.credit = replace(call.credit, is_sure=True)

    def say_said(self, about: frozenset[str], at: float) -> None:
        """Note that a filler about these calls was asked for."""
        for call in self._meant(about):
            call.filled_at = at

    def question_heard(self, active: Active, turn: int) -> None:
        """Note that the user has heard some of the question about these calls, in this turn."""
        if active.by is By.QUESTION and not active.is_cut:
            for call in self._meant(active.about):
                call.question_heard_in = turn if call.question_heard_in is None else call.question_heard_in

    @staticmethod
    def _is_credited(call: Call, active: Active) -> bool:
        """Return True where this response is taken to tell the result."""
        is_its = call.credit is not None and call.credit.response == active.response
        return is_its and call.stage is Stage.CREDITED

    def _meant(self, about: frozenset[str]) -> list[Call]:
        return [call for call in (self.calls.get(call_id) for call_id in sorted(about)) if call is not None]
