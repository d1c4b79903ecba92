"""Decides which requests are let in, and which conversation each of them begins."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.behavior import KnobError
from simulator.conversation import Conversation
from simulator.faults import DropWatch, FaultCounts
from simulator.performer import Speech
from simulator.scripting.scenario import Scenario, load, shipped
from simulator.server.connection_rules import ConnectionRequest, key_of
from simulator.server.control import Control

_DEFAULT_MODEL = "gpt-realtime"


@dataclass(frozen=True)
class ClientSecret:
    """A short-lived key for a browser, with the session that it was made for."""

    value: str
    expires_at: int
    session: Mapping[str, object]


@dataclass
class Door:
    """The rules of one server; ``key``: when set, others are refused."""

    scenario: Scenario
    key: str | None
    speech: Speech
    control: Control | None
    knobs: Mapping[str, str]
    counts: FaultCounts = field(default_factory=FaultCounts)
    _accepted: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _secrets: dict[str, ClientSecret] = field(default_factory=dict)

    def refusal(self, wanted: ConnectionRequest, headers: Mapping[str, str]) -> tuple[int, str | None] | None:
        """Return the status of a refusal, and its message unless the status has a usual one; None: let in."""
        if not self._has_key(headers):
            return 401, None
        if wanted.scenario is not None and wanted.scenario not in shipped():
            return 400, f"There is no scenario {wanted.scenario!r}; there are {', '.join(shipped())}."
        try:
            scenario = self._scenario_of(wanted)
        except KnobError as problem:
            return 400, f"The URL sets an invalid knob: {problem}"
        refused = self.counts.refusal(scenario.name, scenario.knobs)
        if refused is None and self.control is not None:
            refused = self.control.refusal()
        return (refused.status, None) if refused is not None else None

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        given = key_of(headers)
        return self.key is None or given == self.key or self.secret(given) is not None

    def _scenario_of(self, wanted: ConnectionRequest) -> Scenario:
        """Return the scenario of a connection; the knobs of its URL override those of the control API."""
        scenario = load(wanted.scenario) if wanted.scenario else self.scenario
        scenario = scenario.turned(self.knobs)
        return (self.control.turned(scenario) if self.control else scenario).turned(wanted.knobs)

    def conversation(self, wanted: ConnectionRequest) -> Conversation:
        """Begin the conversation that a request asks for."""
        scenario = self._scenario_of(wanted)
        knobs = scenario.knobs.at_connection(next(self._accepted))
        scenario = scenario.model_copy(update={"knobs": knobs})
        judge = self.speech.ears.judge and self.speech.ears.judge()
        return Conversation(scenario, wanted.model or _DEFAULT_MODEL, judge)

    def drop_watch(self, wanted: ConnectionRequest) -> DropWatch:
        """Return what says when a connection is dropped."""
        scenario = self._scenario_of(wanted)
        return DropWatch(scenario.name, scenario.knobs.drop, self.counts)

    def make_secret(self, seconds: int, session: Mapping[str, object]) -> ClientSecret:
        """Return a new client secret, which is let in as the key is."""
        made = ClientSecret(f"ek_{secrets.token_hex(16)}", int(time.time()) + seconds, session)
        self._secrets[made.value] = made
        return made

    def secret(self, given: str | None) -> ClientSecret | None:
        """Return the client secret of that value, unless it has expired."""
        made = self._secrets.get(given or "")
        return made if made is not None and made.expires_at > time.time() else None
