"""The functions that a trusted client brings: offered beside the server's, and run by the client itself.

Their calls are shown to the client, which answers them as at the Realtime API: a `function_call_output` item, then a
`response.create`. No row tells of them. A name that the server serves is the server's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.conversation.actions import Event
from gateway.conversation.carried import Settings, merged
from gateway.conversation.own import TOOLS, OwnTools
from ringback.agents import Agent
from ringback.declaring import OURS
from ringback.tools import Announcement


@dataclass(slots=True)
class ClientTools:
    """All that the model is offered in one conversation, and which of it is the client's.

    Args:
        servers: the server's tools, as they are now.
        own: the gateway's own.
        settings: what the client has set of its session; its tools are a part of it.
    """

    servers: dict[str, Announcement]
    own: OwnTools
    settings: Settings
    _unanswered: set[str] = field(default_factory=set)

    def offer(self) -> list[dict[str, Any]]:
        """The `tools` of a session: the server's, the client's, and the gateway's own."""
        brought = [tool for tool in self.settings.tools if self.owns(str(tool.get("name")))]
        ours = [TOOLS[name] for name in sorted(self.own.offered)]
        return [*(tool.for_model() for tool in self.servers.values()), *brought, *ours]

    def configured(self, agent: Agent) -> Event:
        """The session as a conversation begins: the agent's, with what the client has set of it."""
        tools = self.offer()
        return {**merged(agent.session(tools), self.settings.session), "tools": tools}

    def owns(self, name: str) -> bool:
        """True where a call of this name is the client's to answer."""
        if name in self.servers or name in OURS:
            return False
        return any(tool.get("name") == name for tool in self.settings.tools)

    def taken(self, session: Event) -> str | None:
        """The first of the tools in this `session` that the client may not bring, as the name is the server's."""
        names = (str(tool.get("name")) for tool in session.get("tools", ()))
        return next((name for name in names if name in self.servers or name in OURS), None)

    def whole(self, event: Event) -> Event:
        """A session.update of the client as the model gets it: its tools stand beside the server's."""
        session = event.get("session") or {}
        if event["type"] != "session.update" or "tools" not in session:
            return event
        return {**event, "session": {**session, "tools": self.offer()}}

    def called(self, call_id: str) -> None:
        """The model has called one of the client's."""
        self._unanswered.add(call_id)

    def answered(self, call_id: str) -> bool:
        """The client answers this call; False where it is none of its own that still waits."""
        waited = call_id in self._unanswered
        self._unanswered.discard(call_id)
        return waited
