"""All that a chaos run leaves behind, as plain values: what the checks read. No I/O."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.chaos.ledger import Effect, Entry
from tests.chaos.model import OUTPUT, question

WHOLE_CHARS = 40_000
"""Of items: a rebuilt conversation holds its past, unless that is longer than `gateway.conversation.reconnect.replay`
allows."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of `jobs`; the ids are text, the times seconds of the wall clock."""

    id: str
    session_id: str
    call_id: str
    epoch: int
    tool: str
    arguments: Any
    effect: str
    state: str
    delivery: str
    attempt: int
    most_attempts: int
    rescues: int
    effect_started: bool
    result: Any
    error: Any
    delivered_epoch: int | None
    created_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class JobStep:
    """A row of `job_events`, in the order they were written."""

    job_id: str
    at: float
    state: str
    delivery: str
    attempt: int
    epoch: int | None


@dataclass(frozen=True, slots=True)
class SessionStep:
    """What a session was from this moment on; written by a trigger of the run's own."""

    session_id: str
    at: float
    state: str
    epoch: int
    gateway_id: str | None
    upstream_id: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gateway did not take a client's token, when the client last knew its session in this epoch."""

    at: float
    session_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a client says of the run."""

    number: int
    foreign: tuple[str, ...] = ()
    double: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    last_words: bool | None = True


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant by its number, and what broke it."""

    invariant: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.what}"


@dataclass
class Connection:
    """One upstream conversation, as the wire's ledger tells it."""

    number: int
    entries: list[Entry] = field(default_factory=list)

    @cached_property
    def opened(self) -> float:
        return self.entries[0].at

    @cached_property
    def closed(self) -> float | None:
        """None: it was open when the run ended."""
        return next((entry.at for entry in self.entries if (entry.by, entry.kind) == ("world", "closed")), None)

    @cached_property
    def outputs(self) -> list[Entry]:
        """Every answer to a call that the gateway sent."""
        return [entry for entry in self.by("gateway", "conversation.item.create") if entry.item.get("type") == OUTPUT]

    @cached_property
    def added(self) -> list[dict[str, Any]]:
        """The items that the conversation took in or made, each once, in the order of their making."""
        return [entry.item for entry in self.by("model", "conversation.item.done")]

    @cached_property
    def answered(self) -> dict[str, list[str]]:
        """By call_id: the outputs that the conversation took in."""
        found: dict[str, list[str]] = defaultdict(list)
        for item in self.added:
            if item["type"] == OUTPUT:
                found[item["call_id"]].append(item["output"])
        return found

    @cached_property
    def calls(self) -> dict[str, str]:
        """By call_id: the arguments of the calls that the conversation holds."""
        return {item["call_id"]: item["arguments"] for item in self.added if item["type"] == "function_call"}

    @cached_property
    def client(self) -> int | None:
        """The number of the client whose messages it holds."""
        asked = (question(item).get("client") for item in self.added if item.get("role") == "user")
        return next((number for number in asked if number is not None), None)

    @cached_property
    def farewell(self) -> str | None:
        """The session whose client said goodbye in it: its last conversation."""
        named = (question(item).get("goodbye") for item in self.added if item.get("role") == "user")
        return next((session for session in named if session), None)

    @cached_property
    def may_be_cut(self) -> bool:
        """So much was told that a rebuild may have left out what is oldest."""
        told = self.by("gateway", "conversation.item.create")
        return sum(len(json.dumps(entry.item)) for entry in told) > WHOLE_CHARS

    def by(self, who: str, kind: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.by == who and entry.kind == kind]


@dataclass
class Evidence:
    """A whole run. `away` holds spans (from, to) in which some process was away or did nothing."""

    jobs: Sequence[JobRow] = ()
    steps: Sequence[JobStep] = ()
    sessions: Sequence[SessionStep] = ()
    effects: Sequence[Effect] = ()
    wire: Sequence[Entry] = ()
    clients: Sequence[Told] = ()
    away: Sequence[tuple[float, float]] = ()
    crashes: Sequence[float] = ()
    """When Postgres was killed: what it had committed lazily just before is gone."""
    resume_seconds: float = 20.0
    """How long a detached session waits for its client."""

    @cached_property
    def connections(self) -> dict[int, Connection]:
        found: dict[int, Connection] = {}
        for entry in self.wire:
            if entry.on:
                found.setdefault(entry.on, Connection(entry.on)).entries.append(entry)
        return found

    @cached_property
    def steps_of(self) -> dict[str, list[JobStep]]:
        return _grouped(self.steps, lambda step: step.job_id)

    @cached_property
    def sessions_of(self) -> dict[str, list[SessionStep]]:
        return _grouped(self.sessions, lambda step: step.session_id)

    @cached_property
    def jobs_of(self) -> dict[str, list[JobRow]]:
        return _grouped(self.jobs, lambda job: job.session_id)

    @cached_property
    def effects_of(self) -> dict[str, list[Effect]]:
        return _grouped(self.effects, lambda effect: effect.job_id)

    @cached_property
    def switcher(self) -> dict[tuple[str, int], int]:
        """Which connection was which epoch of which session, as far as anything tells."""
        told = {
            (step.session_id, step.epoch): int(step.upstream_id.removeprefix("sess_"))
            for step in self.sessions
            if step.upstream_id
        }
        for job in self.jobs:
            told.setdefault((job.session_id, job.epoch), maker_of(job.call_id))
        return told

    def quiet(self, since: float, until: float) -> float:
        """The seconds between two moments in which everybody was there."""
        lost, reached = 0.0, since
        for begin, end in sorted(self.away):
            begin, end = max(begin, reached), min(end, until)
            if end > begin:
                lost, reached = lost + end - begin, end
        return until - since - lost


def maker_of(call_id: str) -> int:
    """The connection in which the model made this call: it stands in the id."""
    return int(call_id.split("_")[1])


def _grouped(values: Any, key: Any) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for value in values:
        groups[key(value)].append(value)
    return groups
