"""How every story ends: the faults stop, one gateway and one worker are well, and everything comes to its end."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from ringback.jobs.outcomes import succeeded
from ringback.statements import processes
from ringback.statements.jobs import deliveries, sweeps, transitions
from ringback.statements.sessions import lifecycle
from tests.integration.model.story import Conversation, Story, differences

STEP = 2_500
"""Between two looks: less than a lease, so that who is well stays well."""
LONGEST = 60_000
"""No deadline of the model's tools is further away, with the grace of the sweepers."""
GATEWAY, WORKER = "gw-well", "w-well"


class Healing(Story):
    """No job is lost, every answer is heard or kept, and nothing stays `ready` in a session that is over."""

    def teardown(self) -> None:
        self.paused = set(self.expected.processes)
        self.begin(GATEWAY)
        self.begin(WORKER)
        self.pass_time(2 * STEP)
        self.real.run(sweeps.publish_again())
        self.expected.publish_again()
        limit = self.expected.now + LONGEST
        while any(not job.is_over for job in self.expected.jobs.values()):
            assert self.expected.now < limit, "a job is lost"
            self.sweep_everything()
            self.work()
            self.pass_time(STEP)
        self.sweep_everything()
        self.come_back()
        self.all_holds()
        assert differences(self.real.processes(), self.expected.processes) == []
        self.every_answer_is_heard_or_kept()

    def sweep_everything(self) -> None:
        assert self.real.ids(processes.end_lost_workers(GATEWAY)) == self.expected.lose_workers(GATEWAY)
        assert self.real.ids(sweeps.take_back_lost(GATEWAY)) == self.expected.take_back_lost(GATEWAY)
        assert self.real.ids(sweeps.time_out_overdue()) == self.expected.time_out_overdue()
        assert self.real.ids(sweeps.release_lost_sessions(GATEWAY)) == self.expected.let_go_lost_sessions(GATEWAY)
        assert self.real.ids(sweeps.end_unresumed()) == self.expected.end_unresumed()
        assert self.real.count(sweeps.keep_late_results()) == self.expected.keep_late_answers()

    def work(self) -> None:
        due = self.real.ids(sweeps.publish_due())
        assert due == self.expected.publish_due()
        for job in sorted(due):
            (found,) = self.real.run(transitions.claim(job, WORKER))
            assert len(found) == int(self.expected.claim(job, WORKER))
            for row in found:
                self.claims[job] += 1
                self.expected.jobs[job].token = row.token
                self.run_well(job, row.token)

    def run_well(self, job: UUID, token: UUID) -> None:
        row = self.expected.jobs[job]
        if row.effect == "at_most_once":
            moved = self.real.count(transitions.begin_effect(job, token))
            assert moved == self.expected.begin_effect(job, token)
            if not moved:
                return  # its effect has begun once, and the deadline ends it
        self.effects[job] += 1
        assert self.real.count(transitions.finish(job, token, succeeded("well"))) == 1
        self.expected.finish(job, token, "succeeded", None)

    def come_back(self) -> None:
        """Each client that still can resumes, and hears what it has not heard."""
        for session, row in self.expected.sessions.items():
            if row.state == "ended" or row.resume_hash is None:
                continue
            new = sha256(session.bytes + b"again").digest()
            (found,) = self.real.run(lifecycle.resume(row.resume_hash, new, user_id="ada", gateway_id=GATEWAY))
            assert self.expected.resume(row.resume_hash, new, GATEWAY) == session
            epoch = found[0].epoch
            self.rebuilt(session, GATEWAY, epoch)
            assert self.real.ids(deliveries.read_ready(session, GATEWAY, epoch)) == set()

    def every_answer_is_heard_or_kept(self) -> None:
        last = {each.session: each for each in (*self.over, *self.conversations) if self._is_last(each)}
        for name, job in self.expected.jobs.items():
            if self.expected.sessions[job.session].state == "ended":
                assert job.delivery != "ready"
            elif job.delivery != "history_only":
                assert name in last[job.session].outputs, "an answer that nobody heard"

    def _is_last(self, each: Conversation) -> bool:
        return each.epoch == self.expected.sessions[each.session].epoch
