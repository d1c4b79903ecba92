"""Usage of one session: written as its responses end, and estimated for those whose end is not heard."""

from __future__ import annotations

from uuid import UUID

from gateway.auth.authenticator import Principal
from gateway.budgets.budgets import Budgets
from gateway.conversation.actions import RecordUsage
from ringback.agents.agent import Agent
from ringback.usage.prices import Usage

UNHEARD = Usage(text_in=1_000, audio_out=200)
"""What a session's first response counts as if its usage is not told: a thousand words, ten seconds said."""


class SessionUsage:
    """Usage of one session, as long as it is in this process. It counts the responses of its own epochs only."""

    def __init__(self, budgets: Budgets, session_id: UUID, principal: Principal, agent: Agent, model: str) -> None:
        self._budgets = budgets
        self._session_id = session_id
        self._principal = principal
        self._agent = agent
        self._model = model
        self._open: dict[str, int] = {}
        """Responses that have begun and whose end was not heard yet, each with its epoch."""
        self._last = UNHEARD
        self._is_exceeded = False

    def began(self, epoch: int, response_id: str) -> None:
        """Note that a response has begun."""
        self.leave(epoch)
        self._open[response_id] = epoch

    def ended(self, epoch: int, used: RecordUsage) -> None:
        """Have written soon what a response that is over has used, even if the session ends meanwhile.

        Calling this twice writes once. A response that completed and tells no usage counts as much as the one before it
        did.
        """
        self._open.pop(used.response_id, None)
        is_told = bool(used.usage) or used.status != "completed"
        usage = Usage.of(used.usage) if is_told else self._last
        self._last = usage if usage.input_tokens else self._last
        row = self._budgets.usage_row(self._session_id, used.response_id, epoch, used.status, usage, self._model)
        self._budgets.enqueue(row)

    def leave(self, epoch: int | None = None) -> None:
        """Count the responses whose end will not be heard, as the session is over here, or in a new epoch.

        They are paid for all the same, so each counts as much as the one before it did. One that was stopped because
        the budget was used up counts its input only, as it has not answered.
        """
        used = self._last.told if self._is_exceeded else self._last
        lost = {response_id: begun for response_id, begun in self._open.items() if epoch is None or begun < epoch}
        for response_id, begun in lost.items():
            del self._open[response_id]
            row = self._budgets.usage_row(self._session_id, response_id, begun, "unheard", used, self._model)
            self._budgets.enqueue(row)

    @property
    def may_be_limited(self) -> bool:
        """False if no budget holds, and that was looked up lately."""
        return self._budgets.may_limit(self._principal, self._agent)

    async def exceeded_reason(self) -> str | None:
        """Return a sentence if a budget is used up, else None. What was used so far is written before it is asked.

        None too if Postgres is away: what is used then is written later.
        """
        why = await self._budgets.exceeded_reason(self._session_id, self._principal, self._agent)
        self._is_exceeded = self._is_exceeded or why is not None
        return why
