"""Who is called, and who calls: which agent takes a call, and as which user its session runs. Pure.

All that a call says of itself was written by the network or by the caller. It is compared, and bounded in length and
characters; no model is told of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.auth.authenticator import REALTIME, Principal, principal
from gateway.auth.claims import PHONE, PHONE_USER
from ringback.agents.agent import Agent
from ringback.agents.phone import ANY, Phone, address_of, is_same


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """One call, as its carrier announces it.

    Args:
        carrier: "twilio" or "openai".
        call_id: the carrier's id of it.
        caller: number or address of the caller (`ringback.agents.phone.address_of`).
        called: number or address that was dialled.
        headers: SIP headers, by their names in lower case.
    """

    carrier: str
    call_id: str
    caller: str
    called: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def user(self) -> str:
        """The user as whom the session runs: no user of another credential has such a name."""
        return f"{PHONE_USER}{self.caller.partition('@')[0]}"

    @property
    def claims(self) -> dict[str, Any]:
        """Facts about the call, for tools."""
        told = {"carrier": self.carrier, "call": self.call_id, "caller": self.caller, "called": self.called}
        return {PHONE: told}

    def principal(self, phone: Phone, agent: str) -> Principal:
        """Return who calls, for a session of this agent."""
        return principal(
            self.user, phone.tenant, (REALTIME,), self.claims, credential=f"phone:{self.carrier}", agent=agent
        )


def incoming(
    carrier: str, call_id: str, caller: str, called: str, headers: Iterable[tuple[str, str]] = ()
) -> IncomingCall:
    """Return a call from what its carrier wrote."""
    by_name: dict[str, str] = {}
    for name, value in headers:
        by_name.setdefault(name.lower(), value)
    return IncomingCall(carrier, call_id, address_of(caller), address_of(called), by_name)


def agent_for(agents: Mapping[str, Agent], call: IncomingCall) -> Agent | None:
    """Return the agent that takes the call; None if none does.

    An agent that names the number comes before one that takes all numbers, and one that asks for headers before one
    that does not. Of two that are alike the first by name has it.
    """
    takers = [(rank, name) for name, agent in agents.items() if (rank := _rank(agent.phone, call)) is not None]
    return agents[min(takers)[1]] if takers else None


def _rank(phone: Phone | None, call: IncomingCall) -> tuple[bool, int] | None:
    """Return how closely an agent fits a call, the smaller the closer; None if it does not take it."""
    if phone is None or not (phone.takes(call.caller) and phone.has_headers(dict(call.headers))):
        return None
    is_named = any(number != ANY and is_same(number, call.called) for number in phone.numbers)
    return (not is_named, -len(phone.headers)) if is_named or ANY in phone.numbers else None
