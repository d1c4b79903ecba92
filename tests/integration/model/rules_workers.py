"""What the broker, the workers and the sweepers do, with every way to come too late or to die."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ringback.jobs.outcomes import failed, succeeded
from ringback.statements import processes
from ringback.statements.jobs import sweeps, transitions
from ringback.statements.operators import acts
from ringback.statements.operators.audit import Operator
from tests.integration.model.rules_gateways import some
from tests.integration.model.story import Run, Story

OPERATOR = Operator("default", "ada", "key:1")
BUSY = {"code": "busy", "message": "Later."}


def runs(machine: Any) -> bool:
    return bool(machine.runs)


def has_messages(machine: Any) -> bool:
    return bool(machine.messages)


class WorkerRules(Story):
    """Messages, claims, effects, outcomes."""

    @precondition(has_messages)
    @rule(which=some, what=st.sampled_from(["drop", "duplicate", "reorder", "flush"]))
    def the_broker_misbehaves(self, which: int, what: str) -> None:
        if what == "flush":
            self.messages = []
        elif what == "reorder":
            self.messages.reverse()
        elif what == "drop":
            self.messages.pop(which % len(self.messages))
        else:
            self.messages.append(self.pick(self.messages, which))

    @precondition(has_messages)
    @rule(which=some, how=st.sampled_from(["goes well", "goes well", "goes well", "is undone", "is not heard of"]))
    def claim(self, which: int, how: str) -> None:
        """The connection may be lost while it commits: then it never was, or nobody runs what is claimed."""
        workers = [name for name in self.expected.processes if name.startswith("w") and name not in self.paused]
        if not workers:
            return self.messages.clear()  # the next sweep publishes them again
        job, worker = self.messages.pop(0), self.pick(workers, which)
        if how == "is undone":
            return self.real.undone(transitions.claim(job, worker))
        (found,) = self.real.run(transitions.claim(job, worker))
        moved = self.expected.claim(job, worker)
        assert len(found) == int(moved)
        self.count("claim" if self.expected.jobs[job].may_run else "claim of what waits", moved)
        if moved:
            row = self.expected.jobs[job]
            row.token = found[0].token
            assert row.token not in self.tokens
            self.tokens.add(found[0].token)
            self.claims[job] += 1
            if how == "goes well":
                self.runs.append(Run(job, found[0].token, worker, row.effect, row.effect != "at_most_once"))
        return None

    @rule(which=some)
    def the_line_runs(self, which: int) -> None:
        """For once all goes well: what waits is claimed and begun, so that the faults find something under way."""
        while self.messages:
            self.claim(which, "goes well")
            if self.runs:
                self.begin_effect(len(self.runs) - 1, True)
            which += 1

    @precondition(runs)
    @rule(which=some, acts=st.sampled_from([True, True, False]))
    def begin_effect(self, which: int, acts: bool) -> None:
        """The barrier, and what is behind it: whatever has become of the job meanwhile, who was let in is not held."""
        run = self.pick(self.runs, which)
        if run.effect == "at_most_once" and not run.may_act:
            moved = self.real.count(transitions.begin_effect(run.job, run.token))
            assert moved == self.expected.begin_effect(run.job, run.token)
            self.count("effect", moved)
            run.may_act = bool(moved)
        if acts and run.may_act and not run.has_acted:
            run.has_acted = True
            self.effects[run.job] += 1

    @precondition(runs)
    @rule(which=some, how=st.sampled_from(["goes well", "goes well", "goes well", "is undone", "is not heard of"]))
    def finish(self, which: int, how: str) -> None:
        run = self.pick(self.runs, which)
        outcome = succeeded(str(run.job)) if run.has_acted else failed("broken", "No.")
        if how == "is undone":
            return self.real.undone(transitions.finish(run.job, run.token, outcome))
        moved = self.real.count(transitions.finish(run.job, run.token, outcome))
        error = None if run.has_acted else "broken"
        assert moved == int(self.expected.finish(run.job, run.token, str(outcome.state), error))
        self.count("outcome", moved)
        if how == "goes well":  # else it is offered again, and refused
            self.runs.remove(run)
        return None

    @precondition(runs)
    @rule(which=some, backoff=st.sampled_from([0, 500, 4_000]))
    def retry(self, which: int, backoff: int) -> None:
        run = self.pick(self.runs, which)
        moved = self.real.count(transitions.retry(run.job, run.token, BUSY, backoff / 1000))
        assert moved == self.expected.retry(run.job, run.token, backoff)
        self.count("retry", moved)
        if moved:
            self.runs.remove(run)

    @precondition(runs)
    @rule(which=some, hands_back=st.booleans())
    def a_worker_ends(self, which: int, hands_back: bool) -> None:
        """Killed, or in order, and another takes its place. What it ran may still be heard of: it was on its way."""
        worker = self.pick(self.runs, which).worker
        if hands_back:
            assert self.real.ids(transitions.hand_back(worker)) == self.expected.hand_back(worker)
            assert self.real.count(processes.retire(worker)) == self.expected.retire(worker)
        else:
            self.runs = [run for run in self.runs if run.worker != worker]
        self.paused.add(worker)
        self.begin(f"w-{self.number() + 2}")


class SweepRules(WorkerRules):
    """The sweeps, by any process; and time."""

    @rule(
        which=some,
        what=st.sampled_from(["publish", "publish", "again", "take back", "time out", "workers", "sessions"]),
    )
    def sweep(self, which: int, what: str) -> None:
        """By anybody: who is not steady must find nothing."""
        sweeper = self.pick(list(self.expected.processes), which)
        match what:
            case "publish":
                self.publish_due()
            case "again":
                assert self.real.count(sweeps.publish_again()) == self.expected.publish_again()
            case "take back":
                self.holds(what, sweeps.take_back_lost(sweeper), self.expected.take_back_lost(sweeper))
            case "time out":
                self.holds(what, sweeps.time_out_overdue(), self.expected.time_out_overdue())
            case "workers":
                self.holds(what, processes.end_lost_workers(sweeper), self.expected.lose_workers(sweeper))
            case "sessions":
                self.holds(what, sweeps.release_lost_sessions(sweeper), self.expected.let_go_lost_sessions(sweeper))
                self.end_what_is_over()

    @rule(which=some, is_confirmed=st.booleans())
    def an_operator_retries(self, which: int, is_confirmed: bool) -> None:
        """Run any job once more: only a finished one may, and one at a time."""
        job = self.pick(list(self.expected.jobs), which)
        (made,) = self.real.run(acts.rerun(OPERATOR, [job], is_confirmed=is_confirmed))
        first = self.expected.rerun(job, is_confirmed=is_confirmed)
        assert [row.rerun_of for row in made] == ([first] if first else [])
        self.count("rerun", made)
        if first:
            call = self.real.jobs()[made[0].id].call_id
            self.expected.add_rerun(job, made[0].id, call, first)

    def publish_due(self) -> None:
        found = self.real.ids(sweeps.publish_due())
        assert found == self.expected.publish_due()
        self.messages += sorted(found)

    def holds(self, what: str, sweep: Any, expected: set[Any]) -> None:
        found = self.real.ids(sweep)
        assert found == expected
        self.count(what, found)

    def end_what_is_over(self) -> None:
        self.holds("not resumed", sweeps.end_unresumed(), self.expected.end_unresumed())
        moved = self.real.count(sweeps.keep_late_results())
        assert moved == self.expected.keep_late_answers()
        self.count("kept for the history", moved)
        for job in self.expected.jobs.values():
            assert job.delivery != "ready" or self.expected.sessions[job.session].state != "ended"

    @rule(milliseconds=st.sampled_from([500, 2_500, 5_000]))
    def time_passes(self, milliseconds: int) -> None:
        self.pass_time(milliseconds)

    @rule(milliseconds=st.sampled_from([2_999, 3_000, 3_500, 45_000]))
    def postgres_is_away(self, milliseconds: int) -> None:
        """Nobody can renew, and everybody's lease may run out; then all who live come back at once."""
        self.set_clock(self.expected.now + milliseconds)

    @rule(which=some, kind=st.sampled_from(["w", "gw"]))
    def one_stands_still_for_too_long(self, which: int, kind: str) -> None:
        """The others stay steady, and take what it held; it knows nothing of it."""
        running = [run.worker for run in self.runs] if kind == "w" else [each.gateway for each in self.conversations]
        if not running:
            return
        stopped = self.pick(running, which)
        self.paused.add(stopped)
        self.pass_time(5_000)
        steady = [name for name in self.expected.processes if self.expected.is_steady(name)]
        for what in ("take back", "workers", "sessions") if steady else ():
            self.sweep(list(self.expected.processes).index(steady[0]), what)
        self.paused.discard(stopped)
        self.publish_due()
        self.the_line_runs(which)

    @rule(which=some)
    def pause_or_come_back_stale(self, which: int) -> None:
        process = self.pick(list(self.expected.processes), which)
        if process in self.paused:
            self.paused.discard(process)
            self.renew(process)
        else:
            self.paused.add(process)
