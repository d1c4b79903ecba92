"""Why a call can be neither approved nor denied, in a sentence for the one who tries. Pure."""

from __future__ import annotations

from ringback.jobs.states import LIVE, Approval, JobState


def is_decided_so(approval: str | None, *, approved: bool) -> bool:
    """True where the decision stands as it is asked for: the asker may not have heard that it was taken."""
    return approval == (Approval.GRANTED if approved else Approval.DENIED)


def why_undecidable(state: str, approval: str | None) -> str:
    """For a job that `statements.approvals.decide` left alone, as its row stands."""
    if JobState(state) not in LIVE:
        return f"The job is over: {state}."
    if approval is None:
        return "Nobody is asked about the job: its tool needs no approval."
    if approval == Approval.GRANTED:
        return "The job has been approved already."
    return "The time to decide about the job has passed."
