"""What a run of the model has seen so far: who believes what, what went over the wires, what was done to the world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine, invariant

from ringback.jobs.states import IN_A_CONVERSATION, Effect
from ringback.statements import processes
from ringback.statements.sessions import items, lifecycle
from ringback.tools.behavior import ToolBehavior
from ringback.tools.spec import ToolSpec
from tests.integration.model.expected import Session
from tests.integration.model.expected_jobs import MODEL_TIMEOUT, ExpectedJobs
from tests.integration.model.rows import RealRows

T = TypeVar("T")
GATEWAYS, WORKERS = ("gw-1", "gw-2"), ("w-1", "w-2")
RESUME_SECONDS = 20.0
SCHEMA = {"type": "object"}
ASKS = ToolBehavior(approval_seconds=10.0)
TOOLS = [
    ToolSpec("look", "Look.", SCHEMA, timeout=MODEL_TIMEOUT, retries=1, behavior=ASKS),
    ToolSpec("note", "Note.", SCHEMA, timeout=MODEL_TIMEOUT, retries=2, effect=Effect.IDEMPOTENT, behavior=ASKS),
    ToolSpec("pay", "Pay.", SCHEMA, timeout=MODEL_TIMEOUT, effect=Effect.AT_MOST_ONCE, behavior=ASKS),
    ToolSpec("book", "Book.", SCHEMA, timeout=MODEL_TIMEOUT, retries=1, effect=Effect.AT_MOST_ONCE, behavior=ASKS),
]


@dataclass
class Conversation:
    """One upstream conversation, and the gateway that believes to own it: it may be wrong, and act all the same."""

    session: UUID
    gateway: str
    epoch: int
    calls: set[UUID] = field(default_factory=set)
    outputs: list[UUID] = field(default_factory=list)
    unwritten: list[UUID] = field(default_factory=list)
    unmarked: list[UUID] = field(default_factory=list)
    """Written, and the rows do not say so yet."""
    unechoed: list[UUID] = field(default_factory=list)
    position: int = 0

    def write(self) -> None:
        """Into the socket: the server hears it, and will echo it."""
        self.outputs += self.unwritten
        self.unmarked += self.unwritten
        self.unechoed += self.unwritten
        self.unwritten = []


@dataclass
class Run:
    """One attempt, and the worker that believes to hold it."""

    job: UUID
    token: UUID
    worker: str
    effect: str
    may_act: bool
    has_acted: bool = False


class Story(RuleBasedStateMachine):
    """The world at its beginning: two gateways, two workers, and two sessions, one of which can be resumed."""

    real: ClassVar[RealRows]
    seen: ClassVar[Counter[str]] = Counter()
    """What all runs together have met, such as stale writes that were refused."""

    def __init__(self) -> None:
        super().__init__()
        self.real.clear()
        self.expected = ExpectedJobs()
        self.numbers = 0
        self.conversations: list[Conversation] = []
        self.over: list[Conversation] = []
        self.runs: list[Run] = []
        self.messages: list[UUID] = []
        self.effects: Counter[UUID] = Counter()
        self.claims: Counter[UUID] = Counter()
        self.tokens: set[UUID] = set()
        self.outcomes: dict[UUID, tuple[str, str | None]] = {}
        self.paused: set[str] = set()
        self.used_tokens: list[bytes] = []
        for process in (*GATEWAYS, *WORKERS):
            self.begin(process)
        self.open("gw-1", RESUME_SECONDS)
        self.open("gw-2", None)
        self.pass_time(2_000)

    # — for the rules —

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def pick(self, things: Sequence[T], which: int) -> T:
        return things[which % len(things)]

    def begin(self, process: str) -> None:
        kind = "gateway" if process.startswith("gw") else "worker"
        self.real.run(processes.register(process, kind, "here", 1))
        self.expected.register(process, kind)

    def open(self, gateway: str, seconds: float | None) -> None:
        session = UUID(int=self.number())
        token = sha256(session.bytes).digest() if seconds else None
        self.real.run(
            lifecycle.open_session(
                session,
                user_id="ada",
                agent="demo",
                model="m",
                gateway_id=gateway,
                resume_hash=token,
                resume_seconds=seconds,
            )
        )
        self.expected.sessions[session] = Session(gateway, token, None if seconds is None else int(seconds * 1000))
        self.conversations.append(Conversation(session, gateway, 1))

    def pass_time(self, milliseconds: int) -> None:
        """Every process that is not paused renews its lease in time."""
        while milliseconds > 0:
            self.set_clock(self.expected.now + min(milliseconds, 2_500))
            milliseconds -= 2_500
            for process in self.expected.processes:
                if process not in self.paused:
                    self.renew(process)

    def renew(self, process: str) -> None:
        moved = self.real.count(processes.renew(process))
        assert moved == self.expected.renew(process)

    def set_clock(self, now: int) -> None:
        self.expected.now = now
        self.real.at(now)

    def is_up(self, process: str) -> bool:
        return process not in self.paused and not self.expected.processes[process].ended

    def rebuilt(self, session: UUID, gateway: str, epoch: int) -> None:
        """The epoch has begun; the rest of its transaction, and the conversation that is built anew out of it."""
        replayed, messages, calls = self.real.run(
            items.replay(session, gateway, epoch), items.log_of_messages(session), items.log_of_calls(session)
        )
        assert {row.id for row in replayed} == self.expected.replay(session)
        assert {row.id for row in calls} == {
            name for name, job in self.expected.jobs.items() if job.session == session and job.rerun_of is None
        }, "the log misses a call, or has another session's"
        assert sorted((row.position, row.item_id) for row in messages) == self.expected.said.get(session, [])
        taken_in = [row.id for row in calls if row.delivery in IN_A_CONVERSATION and row.delivered_epoch == epoch]
        assert set(taken_in) == {row.id for row in replayed}, "the log and the replay disagree"
        positions = [row.position for row in (*messages, *calls)]
        assert len(set(positions)) == len(positions)
        made = Conversation(session, gateway, epoch, {row.id for row in calls}, taken_in)
        made.position = max(positions, default=0)
        self.conversations.append(made)

    def count(self, what: str, moved: object) -> None:
        self.seen[what if moved else f"refused: {what}"] += 1

    # — what must hold after every step —

    @invariant()
    def all_holds(self) -> None:
        self.the_rows_are_as_expected()
        self.an_outcome_is_written_once()
        self.every_attempt_was_a_claim_of_its_own()
        self.what_may_not_happen_twice_happened_at_most_once()
        self.what_waits_for_a_yes_or_for_another_call_has_not_run()
        self.no_conversation_hears_an_answer_twice_or_another_ones()
        self.every_answer_is_ready_or_in_the_epoch_that_is_there()

    def the_rows_are_as_expected(self) -> None:
        assert differences(self.real.jobs(), self.expected.jobs) == []
        assert differences(self.real.sessions(), self.expected.sessions) == []

    def an_outcome_is_written_once(self) -> None:
        for name, job in self.expected.jobs.items():
            if job.is_over:
                assert self.outcomes.setdefault(name, (job.state, job.error)) == (job.state, job.error)

    def every_attempt_was_a_claim_of_its_own(self) -> None:
        for name, job in self.expected.jobs.items():
            assert self.claims[name] == job.attempt <= job.max_attempts + job.rescues

    def what_may_not_happen_twice_happened_at_most_once(self) -> None:
        for name, times in self.effects.items():
            assert times <= 1 or self.expected.jobs[name].effect != "at_most_once"

    def what_waits_for_a_yes_or_for_another_call_has_not_run(self) -> None:
        for name, job in self.expected.jobs.items():
            assert job.may_run or (job.attempt, self.effects[name]) == (0, 0)
            if job.joined_to is not None:
                assert job.is_over or not self.expected.jobs[job.joined_to].is_over, "it was forgotten"

    def no_conversation_hears_an_answer_twice_or_another_ones(self) -> None:
        by_epoch: dict[tuple[UUID, int], set[str]] = {}
        for each in (*self.conversations, *self.over):
            heard = each.outputs + each.unwritten
            assert len(set(heard)) == len(heard)
            assert set(heard) <= each.calls, "an answer before its call"
            assert all(self.expected.jobs[job].session == each.session for job in heard)
            by_epoch.setdefault((each.session, each.epoch), set()).add(each.gateway)
        assert all(len(gateways) == 1 for gateways in by_epoch.values()), "two gateways in one epoch"

    def every_answer_is_ready_or_in_the_epoch_that_is_there(self) -> None:
        """The gap that a check of the end alone does not see: an answer that a fenced epoch has taken away."""
        for job in self.expected.jobs.values():
            session = self.expected.sessions[job.session]
            if job.delivered_epoch is not None:
                assert job.delivered_epoch == session.epoch or session.state == "ended"


def differences(real: Mapping[Any, Any], expected: Mapping[Any, Any]) -> list[str]:
    """What is in one and not in the other, field by field."""
    found = [f"{name}: {real.get(name)} and not {expected.get(name)}" for name in real.keys() ^ expected.keys()]
    for name in real.keys() & expected.keys():
        have, want = vars(real[name]), vars(expected[name])
        found += [f"{name} {key}: {have[key]} and not {want[key]}" for key in want if have[key] != want[key]]
    return found
