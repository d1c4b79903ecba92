"""What workers serve now, for sessions that run: whoever comes with a new function need not wait for the next session.

Nothing is withdrawn. A worker that is away is back within seconds, as a rule, and its jobs wait; a function that comes
and goes with it would cost each session two updates.

What the Realtime API has refused to take is remembered here, so that no other session is told of it and refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from gateway.storage.database import Store
from ringback.agents.agent import Agent
from ringback.statements import processes
from ringback.tools.decorator import ToolSpec

if TYPE_CHECKING:  # a line has a catalogue
    from gateway.session.context import SessionHost, SessionStart

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""A worker takes about as long to start; one statement for all sessions of a gateway is nothing."""


MAX_REFUSED = 256
"""Remembered: more than one set of workers declares, and of the oldest a session hears again by itself."""
REFUSED_SECONDS = 3_600.0
"""How long: a Realtime API may learn, and a refusal costs the session that tries again one round trip."""


class ToolCatalog:
    """One task, `follow`. It runs until it is cancelled.

    Args:
        model: asked for instead of every agent's own, where the settings name one.
    """

    def __init__(self, store: Store, model: str | None = None) -> None:
        self._store = store
        self._model = model
        self._refused: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self._changed = asyncio.Event()
        self.tools: Mapping[str, ToolSpec] = {}

    async def follow(self) -> None:
        """Look again and again."""
        while True:
            try:
                rows = await self._store.rows(processes.live_tools())
            except (SQLAlchemyError, OSError) as problem:
                log.warning("what workers serve cannot be asked (%s)", type(problem).__name__)
            else:
                self._look_at({row.name: processes.announcement(row) for row in rows})
            await asyncio.sleep(LOOK_SECONDS)

    async def updates(self, holder: SessionHost) -> None:
        """Have a session offered what comes, until cancelled. It has just asked the table itself."""
        await asyncio.sleep(LOOK_SECONDS)
        while True:
            changed, came = self._changed, self._news_for(holder.start)
            if came:
                names = ", ".join(sorted(came))
                log.info("session %s is offered %s as well", holder.start.session_id, names)
            holder.start.tools.update(came)  # a conversation that is being opened looks there once it is open
            if came and holder.link is not None:
                await holder.perform(holder.link, holder.link.conversation.tools_came(came, time.monotonic()))
            await changed.wait()

    def leave_out(self, agent: Agent, tool: ToolSpec, why: str) -> None:
        """The agent's model does not take this version of a tool: no session of that model is offered it any more."""
        log.error(
            "tool refused by the Realtime API: %s (queue %s, version %s, model %s): %s; sessions go on without it, "
            "until a worker serves another version of it",
            *(tool.name, tool.queue, tool.version, self._model_of(agent), why),
        )
        self._refused[self._model_of(agent), tool.name, tool.version] = time.monotonic() + REFUSED_SECONDS
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def takes(self, agent: Agent, tool: ToolSpec) -> bool:
        """False where the agent's model is known to refuse this version of a tool."""
        if not self._refused:
            return True
        return self._refused.get((self._model_of(agent), tool.name, tool.version), 0.0) <= time.monotonic()

    def _model_of(self, agent: Agent) -> str:
        return self._model or agent.model

    def _look_at(self, tools: Mapping[str, ToolSpec]) -> None:
        if tools != self.tools:
            self.tools = tools
            self._changed.set()
            self._changed = asyncio.Event()

    def _news_for(self, start: SessionStart) -> dict[str, ToolSpec]:
        return {
            name: tool
            for name, tool in self.tools.items()
            if start.may_have(tool) and start.tools.get(name) != tool and self.takes(start.agent, tool)
        }
