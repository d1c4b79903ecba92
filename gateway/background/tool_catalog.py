"""The tools that live workers serve now, and the tools that the Realtime API has refused.

The catalog withdraws no tool. A worker that is away is usually back within seconds, and its jobs wait; a tool that came
and went with its worker would cost each session two updates.

If the Realtime API refuses a tool, the catalog remembers it, so that no other session offers it and is refused.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

from gateway.retry import repeat
from gateway.storage.database import Store
from ringback.agents.agent import Agent
from ringback.statements import processes
from ringback.tools.spec import ToolSpec

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""A worker takes about as long to start; one statement for all sessions of a gateway costs little."""


MAX_REFUSED = 256
"""Refusals that are remembered: more than one set of workers announces. A session meets the older ones by itself."""
REFUSED_SECONDS = 3_600.0
"""How long a refusal counts: a Realtime API may learn, and a session that tries again pays one round trip."""


class ToolCatalog:
    """Tools by name. One task, `follow`, which runs until it is cancelled.

    Args:
        model: used instead of each agent's model, if the settings name one.
        until_needed: waits until a session is here, which reads the table itself as it begins; None: one always is.
    """

    def __init__(
        self, store: Store, model: str | None = None, until_needed: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._store = store
        self._model = model
        self._until_needed = until_needed
        self._refused: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        self.tools: Mapping[str, ToolSpec] = {}
        """As the last look has found them."""
        self._watching: set[Callable[[], None]] = set()

    async def follow(self) -> None:
        """Read the tools of live workers, every two seconds while a session is here."""
        await repeat(self._look, LOOK_SECONDS, "tool look-up", self._until_needed)

    def watch(self, on_change: Callable[[], None]) -> None:
        """Have this called each time the tools are no longer those of the look before."""
        self._watching.add(on_change)

    def unwatch(self, on_change: Callable[[], None]) -> None:
        self._watching.discard(on_change)

    def leave_out(self, agent: Agent, tool: ToolSpec, why: str) -> None:
        """Note that the agent's model refuses this version of a tool: sessions of that model are not offered it."""
        log.error(
            "tool refused by the Realtime API: %s (queue %s, version %s, model %s): %s; sessions go on without it, "
            "until a worker serves another version of it",
            *(tool.name, tool.queue, tool.version, self._model_of(agent), why),
        )
        self._refused[self._model_of(agent), tool.name, tool.version] = time.monotonic() + REFUSED_SECONDS
        if len(self._refused) > MAX_REFUSED:
            self._refused.popitem(last=False)

    def takes(self, agent: Agent, tool: ToolSpec) -> bool:
        """Return False if the agent's model is known to refuse this version of a tool."""
        if not self._refused:
            return True
        return self._refused.get((self._model_of(agent), tool.name, tool.version), 0.0) <= time.monotonic()

    def _model_of(self, agent: Agent) -> str:
        return self._model or agent.model

    async def _look(self) -> None:
        tools = {row.name: processes.spec_from_row(row) for row in await self._store.rows(processes.live_tools())}
        if tools != self.tools:
            self.tools = tools
            for on_change in tuple(self._watching):
                on_change()
