"""What the rows of jobs must be: one call's life, and what the sweepers do to it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from ringback.jobs.states import IN_A_CONVERSATION
from ringback.statements.jobs.admission import PUBLISH_GRACE_SECONDS, QUEUE_WAIT_SECONDS
from ringback.statements.jobs.sweeps import FENCE_GRACE_SECONDS, MAX_RESCUES, REPUBLISH_SECONDS
from ringback.tools.spec import ToolSpec
from tests.integration.model.expected import OWNED, Expected, Job

JOINED_LATER = 5_000
"""By so much is the deadline of a joined call behind that of the first."""
MODEL_TIMEOUT = 4.0
"""Of every tool of the model."""


class ExpectedJobs(Expected):
    """The world with its jobs."""

    def admit(
        self,
        job: UUID,
        session: UUID,
        gateway: str,
        epoch: int,
        call: str,
        tool: ToolSpec,
        position: int,
        *,
        joined_to: UUID | None = None,
        asks: bool = False,
    ) -> set[UUID]:
        known = any(each.session == session and each.call_id == call for each in self.jobs.values())
        if known or not self.is_ours(session, gateway, epoch):
            return set()
        attempts = tool.retries + 1
        publish = None if asks or joined_to else self.now + int(PUBLISH_GRACE_SECONDS * 1000)
        seconds = tool.behavior.approval_seconds if asks else QUEUE_WAIT_SECONDS + tool.timeout * attempts
        deadline = self.now + int(seconds * 1000)
        row = self.jobs[job] = Job(session, call, str(tool.effect), attempts, publish, deadline, position)
        row.approval = "requested" if asks else None
        if joined_to is not None:
            self._join(row, joined_to)
        return {job}

    def _join(self, row: Job, joined_to: UUID) -> None:
        row.joined_to = self.jobs[joined_to].joined_to or joined_to
        first = self.jobs[row.joined_to]
        row.deadline = first.deadline + JOINED_LATER
        if first.is_over:
            row.state, row.error, row.cancel_reason, row.delivery = (
                first.state,
                first.error,
                first.cancel_reason,
                "ready",
            )

    def refuse(self, job: UUID) -> None:
        """It was born finished."""
        self._over(job, "failed", "invalid_arguments", "ready")

    def claim(self, job: UUID, worker: str) -> bool:
        row = self.jobs[job]
        early = row.not_before is not None and row.not_before > self.now
        spent = row.attempt >= row.max_attempts + row.rescues
        if row.state != "pending" or spent or row.cancel or row.deadline <= self.now or early or not row.may_run:
            return False
        row.state, row.worker = "running", worker
        row.attempt += 1
        return True

    def holds(self, job: UUID, token: UUID) -> bool:
        return self.jobs[job].state == "running" and self.jobs[job].token == token

    def begin_effect(self, job: UUID, token: UUID) -> int:
        row = self.jobs[job]
        if not self.holds(job, token) or row.effect_started or row.cancel:
            return 0
        row.effect_started = True
        return 1

    def finish(self, job: UUID, token: UUID, state: str, error: str | None) -> bool:
        if not self.holds(job, token):
            return False
        self._over(job, state, error)
        return True

    def retry(self, job: UUID, token: UUID, backoff: int) -> int:
        row = self.jobs[job]
        spent = row.attempt >= row.max_attempts + row.rescues
        if not self.holds(job, token) or spent or row.cancel or row.has_begun or row.deadline <= self.now + backoff:
            return 0
        self._again(job, "busy", self.now + backoff)
        row.not_before, row.publish_count = self.now + backoff, 0
        return 1

    def hand_back(self, worker: str) -> set[Any]:
        mine = {name for name, row in self.jobs.items() if row.worker == worker and row.state == "running"}
        for name in mine:
            row = self.jobs[name]
            row.max_attempts, row.publish_count, row.publish_after = row.max_attempts + 1, 0, self.now
            if row.has_begun:
                self._over(name, "unknown", "outcome_unknown")
            elif row.cancel:
                self._over(name, "cancelled", "cancelled")
            else:
                self._again(name, "handed_back", self.now)
        return mine

    def cancel(self, job: UUID) -> set[UUID]:
        row = self.jobs[job]
        if row.is_over:
            return set()
        row.cancel, row.cancel_reason = True, row.cancel_reason or "operator"
        if row.state == "pending":
            self._over(job, "cancelled", "cancelled")
        return {job}

    def rerun(self, job: UUID, *, is_confirmed: bool) -> UUID | None:
        """Return the call that the rerun repeats; None if none is made."""
        row = self.jobs[job]
        first = row.rerun_of or row.joined_to or job
        lives = any(each.rerun_of == first and not each.is_over for each in self.jobs.values())
        may_happen = is_confirmed or row.effect != "at_most_once"
        if not row.is_over or row.approval not in (None, "granted") or lives or not may_happen:
            return None
        return first

    def add_rerun(self, job: UUID, again: UUID, call: str, first: UUID) -> None:
        row = self.jobs[job]
        deadline = self.now + int((QUEUE_WAIT_SECONDS + MODEL_TIMEOUT * row.max_attempts) * 1000)
        publish = self.now + int(PUBLISH_GRACE_SECONDS * 1000)
        made = Job(row.session, call, row.effect, row.max_attempts, publish, deadline, None, rerun_of=first)
        self.jobs[again] = made

    def decide(self, job: UUID, approved: bool) -> set[UUID]:
        row = self.jobs[job]
        if row.state != "pending" or row.approval != "requested" or row.deadline <= self.now:
            return set()
        if approved:
            row.approval, row.publish_after = "granted", self.now
            row.deadline = self.now + int((QUEUE_WAIT_SECONDS + MODEL_TIMEOUT * row.max_attempts) * 1000)
            for other in self._joined(job):
                other.deadline = row.deadline + JOINED_LATER
        else:
            row.approval, row.cancel_reason = "denied", "denied"
            self._over(job, "cancelled", "approval_denied")
        return {job}

    def read_ready(self, session: UUID, gateway: str, epoch: int, given: Collection[UUID]) -> set[UUID]:
        if not (self.is_ours(session, gateway, epoch) and self.lives(gateway)):
            return set()
        ready = {name for name, row in self.jobs.items() if row.session == session and row.delivery == "ready"}
        return ready - set(given)

    def mark(self, session: UUID, gateway: str, epoch: int, given: Collection[UUID], echoed: Collection[UUID]) -> int:
        """A gateway without a lease may mark: it writes down what was, in an epoch that is still its own."""
        if not self.is_ours(session, gateway, epoch):
            return 0
        moved = 0
        for name in given:
            row, is_echoed = self.jobs[name], name in echoed
            if row.delivery == "ready" or (is_echoed and (row.delivery, row.delivered_epoch) == ("sent", epoch)):
                row.delivery, row.delivered_epoch = "acked" if is_echoed else "sent", epoch
                moved += 1
        return moved

    def note_told(self, session: UUID, gateway: str, epoch: int, job: UUID, answer: str, is_heard: bool) -> set[UUID]:
        """An answer that begins now tells the result: the last one counts, until one is heard."""
        row = self.jobs[job]
        is_in = row.session == session and row.delivery in IN_A_CONVERSATION
        is_other = row.answer not in (None, answer)
        is_newer = row.delivery != "heard" and (row.answer_began or 0) < self.now
        if not (self.is_ours(session, gateway, epoch) and is_in) or (is_other and not is_newer):
            return set()
        if row.answer != answer:
            row.answer, row.answer_began = answer, self.now
        row.delivery = "heard" if is_heard or row.delivery == "heard" else "spoken"
        return {job}

    # — sweeps —

    def publish_due(self) -> set[UUID]:
        due = {
            name
            for name, row in self.jobs.items()
            if row.state == "pending" and row.publish_after is not None and row.publish_after <= self.now
        }
        for name in due:
            row = self.jobs[name]
            row.publish_after = self.now + int(REPUBLISH_SECONDS * 1000) * 2 ** min(row.publish_count, 4)
            row.publish_count += 1
        return due

    def publish_again(self) -> int:
        pending = [row for row in self.jobs.values() if row.state == "pending" and row.may_run]
        published = [row for row in pending if row.not_before is None or row.not_before <= self.now]
        published = [row for row in published if row.publish_after is not None and row.publish_after > self.now]
        for row in published:
            row.publish_after = self.now
        return len(published)

    def take_back_lost(self, sweeper: str) -> set[UUID]:
        if not self.is_steady(sweeper):
            return set()
        lost = {name for name, row in self.jobs.items() if row.state == "running" and not self.lives(row.worker)}
        for name in lost:
            row = self.jobs[name]
            row.publish_after = self.now
            if row.has_begun:
                self._over(name, "unknown", "outcome_unknown", "ready")
            elif row.cancel:
                self._over(name, "cancelled", "cancelled", "ready")
            elif row.rescues >= MAX_RESCUES:
                self._over(name, "dead", "worker_lost", "ready")
            else:
                self._again(name, "worker_lost", self.now)
            row.rescues += 1
        return lost

    def time_out_overdue(self) -> set[UUID]:
        limit = self.now - int(FENCE_GRACE_SECONDS * 1000)
        overdue = {
            name
            for name, row in self.jobs.items()
            if not row.is_over
            and row.deadline < limit
            and (row.joined_to is None or self.jobs[row.joined_to].is_over)  # Else it ends with that one.
        }
        for name in overdue:
            row = self.jobs[name]
            row.publish_after = self.now
            code = "approval_expired" if row.approval == "requested" else "timed_out"
            self._over(name, *(("unknown", "outcome_unknown") if row.has_begun else ("timed_out", code)), "ready")
        return overdue

    def let_go_lost_sessions(self, sweeper: str) -> set[UUID]:
        if not self.is_steady(sweeper):
            return set()
        lost = {name for name, row in self.sessions.items() if row.state in OWNED and not self.lives(row.gateway)}
        for name in lost:
            row = self.sessions[name]
            row.state = "ended" if row.resume_ms is None else "detached"
            row.resume_until = None if row.resume_ms is None else self.now + row.resume_ms
        return lost

    def end_unresumed(self) -> set[UUID]:
        late = {
            name
            for name, row in self.sessions.items()
            if row.state == "detached" and row.resume_until is not None and row.resume_until <= self.now
        }
        for name in late:
            row = self.sessions[name]
            row.state, row.resume_hash, row.resume_until = "ended", None, None
        return late

    def keep_late_answers(self) -> int:
        ended = {name for name, row in self.sessions.items() if row.state == "ended"}
        late = [row for row in self.jobs.values() if row.session in ended and row.delivery == "ready"]
        for row in late:
            row.delivery = "history_only"
        return len(late)

    def _again(self, job: UUID, error: str, publish: int) -> None:
        row = self.jobs[job]
        row.state, row.token, row.error, row.publish_after = "pending", None, error, publish

    def _over(self, job: UUID, state: str, error: str | None, delivery: str | None = None) -> None:
        row = self.jobs[job]
        heard = "history_only" if self.sessions[row.session].state == "ended" else "ready"
        heard = "history_only" if row.rerun_of else delivery or heard
        row.state, row.token, row.error, row.delivery = state, None, error, heard
        for other in self._joined(job):
            other.state, other.error, other.delivery = row.state, row.error, row.delivery
            other.cancel_reason = row.cancel_reason

    def _joined(self, job: UUID) -> list[Job]:
        return [row for row in self.jobs.values() if row.joined_to == job and row.state == "pending"]
