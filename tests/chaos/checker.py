"""The history checker: everything that a run leaves behind against every invariant. Pure."""

from __future__ import annotations

from collections import Counter

from ringback.jobs.states import JobState
from tests.chaos.check_epochs import check_epochs, why_refused
from tests.chaos.check_jobs import check_jobs
from tests.chaos.check_wire import check_wire, collisions
from tests.chaos.evidence import Evidence, Violation


def check(run: Evidence) -> list[Violation]:
    """Every violated invariant, by its number; none where all hold."""
    found = [*check_jobs(run), *check_wire(run), *check_epochs(run)]
    return sorted(found, key=lambda violation: (violation.invariant, violation.what))


def outcomes(run: Evidence) -> Counter[str]:
    """How the jobs ended."""
    return Counter(job.state for job in run.jobs)


def deliveries(run: Evidence) -> Counter[str]:
    """How far the answers came."""
    return Counter(job.delivery for job in run.jobs)


def refusals(run: Evidence) -> Counter[str]:
    """Why tokens were not taken."""
    return Counter(why_refused(refusal, run) for told in run.clients for refusal in told.refusals)


def counts(run: Evidence) -> dict[str, int]:
    """What a run has exercised: many zeros here, and it has proved little."""
    return {
        "upstream conversations": len(run.connections),
        "sessions": len(run.sessions_of),
        "epochs after the first": len({(step.session_id, step.epoch) for step in run.sessions if step.epoch > 1}),
        "jobs": len(run.jobs),
        "effects": len(run.effects),
        "attempts after the first": sum(max(0, job.attempt - 1) for job in run.jobs),
        "rescues": sum(job.rescues for job in run.jobs),
        "effects of attempts that came to nothing": sum(
            max(0, len(effects) - 1) for effects in run.effects_of.values()
        ),
        "answers that were replayed": sum(step.delivery == "replayed" for step in run.steps),
        "unknown outcomes": sum(job.state == JobState.UNKNOWN for job in run.jobs),
        "response collisions": collisions(run),
    }
