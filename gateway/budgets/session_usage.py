"""What one session uses: told to the purse as its responses begin and end, and as it is left."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from gateway.auth.authenticator import Principal
from gateway.conversation.actions import RecordUsage
from ringback.agents.agent import Agent
from ringback.usage.prices import Usage

if TYPE_CHECKING:
    from gateway.budgets.budgets import Budgets

UNHEARD = Usage(text_in=1_000, audio_out=200)
"""What the first response of a session counts as if nobody says what it used: a thousand words, ten seconds said."""


class SessionUsage:
    """What one session uses, as long as it is here. Only its own epochs' responses are told of."""

    def __init__(self, budgets: Budgets, session_id: UUID, principal: Principal, agent: Agent, model: str) -> None:
        self._budgets = budgets
        self._session_id = session_id
        self._principal = principal
        self._agent = agent
        self._model = model
        self._open: dict[str, int] = {}
        """Responses that have begun, each with its epoch; whose end was not heard yet."""
        self._last = UNHEARD
        self._is_spent = False

    async def check(self, epoch: int, response_id: str) -> str | None:
        """A response has begun: a sentence where there is nothing left for it, None where there is.

        None as well where Postgres is away: what is used then is written down later.
        """
        self.leave(epoch)
        self._open[response_id] = epoch
        return await self._why_spent()

    async def record(self, epoch: int, used: RecordUsage) -> str | None:
        """A response is over: write down what it used. A sentence where nothing is left for one more.

        Told twice, it is written once; it is written even if the session ends meanwhile. One that completed and tells
        no usage was not for nothing: it counts as much as the one before it did.
        """
        self._open.pop(used.response_id, None)
        is_told = bool(used.usage) or used.status != "completed"
        usage = Usage.of(used.usage) if is_told else self._last
        self._last = usage if usage.input_tokens else self._last
        debt = self._budgets.debt(self._session_id, used.response_id, epoch, used.status, usage, self._model)
        return await self._why_spent() if await self._budgets.write(debt) else None

    def leave(self, epoch: int | None = None) -> None:
        """The session is over here, or in a new epoch: of responses from before, nobody hears the end any more.

        They are paid for all the same, so each counts as much as the one before it did; one that was stopped because
        nothing is left has been told as much, and has answered nothing.
        """
        used = self._last.told if self._is_spent else self._last
        lost = {response_id: begun for response_id, begun in self._open.items() if epoch is None or begun < epoch}
        for response_id, begun in lost.items():
            del self._open[response_id]
            self._budgets.enqueue(
                self._budgets.debt(self._session_id, response_id, begun, "unheard", used, self._model)
            )

    async def _why_spent(self) -> str | None:
        why = await self._budgets.exceeded_reason(self._session_id, self._principal, self._agent)
        self._is_spent = self._is_spent or why is not None
        return why
