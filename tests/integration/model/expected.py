"""What the rows of processes and sessions must be: the rules in Python, with times in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from ringback.leases.lease import LEASE_SECONDS
from ringback.statements.processes import SPARE_SECONDS, STEADY_SECONDS

LEASE, STEADY, SPARE = int(LEASE_SECONDS * 1000), int(STEADY_SECONDS * 1000), int(SPARE_SECONDS * 1000)
OWNED = ("open", "draining")


@dataclass
class Process:
    kind: str
    lease_until: int
    steady_since: int
    ended: bool = False


@dataclass
class Session:
    gateway: str
    resume_hash: bytes | None
    resume_ms: int | None
    epoch: int = 1
    state: str = "open"
    resume_until: int | None = None


@dataclass
class Job:
    session: UUID
    call_id: str
    effect: str
    max_attempts: int
    publish_after: int | None
    deadline: int
    position: int | None
    joined_to: UUID | None = None
    rerun_of: UUID | None = None
    approval: str | None = None
    state: str = "pending"
    delivery: str = "none"
    delivered_epoch: int | None = None
    attempt: int = 0
    rescues: int = 0
    effect_started: bool = False
    token: UUID | None = None
    worker: str | None = None
    cancel: bool = False
    cancel_reason: str | None = None
    publish_count: int = 0
    not_before: int | None = None
    error: str | None = None
    answer: str | None = None
    answer_began: int | None = None

    @property
    def is_over(self) -> bool:
        return self.state not in ("pending", "running")

    @property
    def may_run(self) -> bool:
        """False while it waits for a yes; and for one that is answered by another."""
        return self.joined_to is None and self.approval != "requested"

    @property
    def has_begun(self) -> bool:
        return self.effect == "at_most_once" and self.effect_started


@dataclass
class Expected:
    """The world as it must be, and each move on it; a move returns the ids that the statement must return."""

    now: int = 0
    processes: dict[str, Process] = field(default_factory=dict)
    sessions: dict[UUID, Session] = field(default_factory=dict)
    jobs: dict[UUID, Job] = field(default_factory=dict)
    said: dict[UUID, list[tuple[int, str]]] = field(default_factory=dict)

    # — processes —

    def register(self, process: str, kind: str) -> None:
        self.processes[process] = Process(kind, self.now + LEASE, self.now)

    def renew(self, process: str) -> int:
        row = self.processes[process]
        if row.ended:
            return 0
        row.steady_since = self.now if row.lease_until <= self.now + SPARE else row.steady_since
        row.lease_until = self.now + LEASE
        return 1

    def retire(self, process: str) -> int:
        row = self.processes[process]
        moved = not row.ended
        if moved:
            row.ended, row.lease_until = True, self.now
        return int(moved)

    def lives(self, process: str | None) -> bool:
        row = self.processes.get(process or "")
        return row is not None and not row.ended and row.lease_until > self.now

    def is_steady(self, process: str) -> bool:
        row = self.processes.get(process)
        has_to_spare = row is not None and row.lease_until > self.now + SPARE
        return has_to_spare and self.lives(process) and self.processes[process].steady_since <= self.now - STEADY

    def lose_workers(self, sweeper: str) -> set[Any]:
        if not self.is_steady(sweeper):
            return set()
        lost = {
            name
            for name, row in self.processes.items()
            if row.kind == "worker" and not row.ended and row.lease_until <= self.now
        }
        for name in lost:
            self.processes[name].ended = True
        return lost

    # — sessions —

    def is_ours(self, session: UUID, gateway: str, epoch: int) -> bool:
        row = self.sessions[session]
        return row.gateway == gateway and row.epoch == epoch and row.state in OWNED

    def next_epoch(self, session: UUID, gateway: str, epoch: int) -> bool:
        if not (self.is_ours(session, gateway, epoch) and self.lives(gateway)):
            return False
        self.sessions[session].epoch += 1
        return True

    def resume(self, token: bytes, new: bytes, gateway: str) -> UUID | None:
        for session, row in self.sessions.items():
            in_time = row.state != "detached" or (row.resume_until or 0) > self.now
            if row.resume_hash == token and row.state != "ended" and in_time and self.lives(gateway):
                row.epoch += 1
                row.gateway, row.state, row.resume_hash, row.resume_until = gateway, "open", new, None
                return session
        return None

    def replay(self, session: UUID) -> set[UUID]:
        """By whoever has just begun the epoch."""
        taken = {
            name
            for name, job in self.jobs.items()
            if job.session == session and job.is_over and job.delivery != "history_only"
        }
        for name in taken:
            row = self.jobs[name]
            row.delivery = row.delivery if row.delivery in ("spoken", "heard") else "replayed"
            row.delivered_epoch = self.sessions[session].epoch
        return taken

    def drain(self, gateway: str) -> int:
        opened = [row for row in self.sessions.values() if row.gateway == gateway and row.state == "open"]
        for row in opened:
            row.state = "draining"
        return len(opened)

    def detach(self, session: UUID, gateway: str, epoch: int) -> int:
        row = self.sessions[session]
        if not self.is_ours(session, gateway, epoch) or row.resume_ms is None:
            return 0
        row.state, row.resume_until = "detached", self.now + row.resume_ms
        return 1

    def end(self, session: UUID, gateway: str, epoch: int) -> int:
        moved = self.is_ours(session, gateway, epoch)
        if moved:
            self.sessions[session].state, self.sessions[session].resume_hash = "ended", None
        return int(moved)

    def keep(self, session: UUID, gateway: str, epoch: int, position: int, item: str) -> int:
        moved = self.is_ours(session, gateway, epoch)
        if moved:
            self.said.setdefault(session, []).append((position, item))
        return int(moved)
