"""The functions that a model is offered: the server's, the gateway's, and those that a trusted client brings.

The client runs its functions itself. It sees their calls, and answers them as at the Realtime API: a
`function_call_output` item, then a `response.create`. No row tells of them. If the server serves a function of the same
name, the name is the server's.

A Realtime API refuses a whole session for one function that it does not take. If the function is the server's, the
gateway leaves it out and configures the session anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.conversation.actions import Event, LeaveOut
from gateway.conversation.call_table import Call, CallTable, Owner, Stage
from gateway.conversation.client_session import ClientSessionConfig, merged
from gateway.conversation.event_names import UPDATE_SESSION
from gateway.conversation.tool_calls.builtin_tools import BuiltinTools
from gateway.conversation.turns import UserTurns
from gateway.upstream.events import UpstreamError
from ringback.agents.agent import Agent
from ringback.agents.phone import Phone
from ringback.tools.declaration import OURS
from ringback.tools.spec import ToolSpec

MAX_LEFT_OUT = 32
"""Of one conversation: each costs the beginning of a session a round trip, and its time to connect is bounded."""
MAX_WHY_CHARS = 300
"""Of the Realtime API's words: they name the place in the schema, and may quote much of it."""

_BY_NAME = re.compile(r"\b(?:function|tool) ?['\"`]([a-zA-Z0-9_-]{1,64})['\"`]", re.IGNORECASE)
_BY_INDEX = re.compile(r"(?:session\.)?tools(?:\[|\.)(\d{1,3})\b")


@dataclass(slots=True)
class ClientTools:
    """Functions that the model is offered in one conversation; it knows which are the client's.

    Args:
        servers: the server's tools, as they are now.
        builtin_tools: the gateway's.
        settings: what the client has set of its session; its tools are a part of it.
        calls: the calls of the conversation.
        hosted: tools that the Realtime API runs by itself.
    """

    servers: dict[str, ToolSpec]
    builtin_tools: BuiltinTools
    settings: ClientSessionConfig
    calls: CallTable
    hosted: Sequence[Event] = ()
    _told: tuple[ToolSpec, ...] = ()
    """The server's tools, as the model was last told of them."""
    _names: tuple[str, ...] = ()
    """Of all functions that were last named to the model, in their order."""
    _left_out: int = 0

    @property
    def is_outdated(self) -> bool:
        """True if the server has other tools by now than the model was told of."""
        return tuple(self.servers.values()) != self._told

    def offer(self) -> list[dict[str, Any]]:
        """Return the `tools` of a session: the server's, the client's and the gateway's."""
        self._told = tuple(self.servers.values())
        return self._listed()

    def leave_out(self, error: UpstreamError) -> LeaveOut | None:
        """Drop the server's tool for which the Realtime API refuses a session; None if `error` names none."""
        tool = self.servers.get(self._named(error) or "")
        if tool is None or self._left_out == MAX_LEFT_OUT:
            return None
        del self.servers[tool.name]
        self._left_out += 1
        return LeaveOut(tool, f"{error.code}: {error.message}"[:MAX_WHY_CHARS])

    def configured(self, agent: Agent) -> Event:
        """Return the session as a conversation begins: the agent's, with what the client has set of it."""
        tools = self.offer()
        return {**merged(agent.session(tools), self.settings.session), "tools": tools}

    def owns(self, name: str) -> bool:
        """Return True if the client answers calls of this name."""
        if name in self.servers or name in OURS:
            return False
        return any(tool.get("name") == name for tool in self.settings.tools)

    def taken(self, session: Event) -> str | None:
        """Return the first tool in this `session` whose name is the server's, so that the client may not bring it."""
        names = (str(tool.get("name")) for tool in session.get("tools", ()))
        return next((name for name in names if name in self.servers or name in OURS), None)

    def whole(self, event: Event) -> Event:
        """Return a session.update of the client as the model gets it: with the server's tools beside the client's."""
        session = event.get("session") or {}
        if event["type"] != UPDATE_SESSION or "tools" not in session:
            return event
        return {**event, "session": {**session, "tools": self._listed()}}

    def waiting(self, call_id: str) -> Call | None:
        """Return the call that waits for the client's answer under this id, if there is one."""
        call = self.calls.get(call_id)
        return call if call is not None and call.owner is Owner.CLIENT and call.is_running else None

    def answered(self, call: Call, output: str, now: float) -> None:
        """Note the client's answer to its call; the client asks for the response that tells it."""
        call.output = output
        call.land(now)
        call.go(Stage.SILENT)

    def _listed(self) -> list[dict[str, Any]]:
        brought = [tool for tool in self.settings.tools if self.owns(str(tool.get("name")))]
        tools = self.servers.values()
        listed = [*(tool.for_model() for tool in tools), *self.hosted, *brought, *self.builtin_tools.offered(tools)]
        self._names = tuple(str(tool.get("name")) for tool in listed)
        return listed

    def _named(self, error: UpstreamError) -> str | None:
        """Return the function that a refusal is about: by the name in its message, else by its place in the list."""
        found = _BY_NAME.search(str(error.message))
        if found is not None:
            return found[1]
        place = _BY_INDEX.match(str(error.param))
        return self._names[int(place[1])] if place is not None and int(place[1]) < len(self._names) else None


def first_session(agent: Agent, servers: Mapping[str, ToolSpec], phone: Phone | None = None) -> Event:
    """Return the session of a call as it begins: the agent's, with the functions of the server and the gateway."""
    calls = CallTable()
    builtin_tools = BuiltinTools(calls, UserTurns(), phone=phone)
    tools = ClientTools(dict(servers), builtin_tools, ClientSessionConfig({}), calls, agent.hosted_tools)
    return tools.configured(agent)
