"""Sentences on why a call can be neither approved nor denied. Pure."""

from __future__ import annotations

from ringback.jobs.states import LIVE, Approval, JobState


def is_already_decided(approval: str | None, *, approved: bool) -> bool:
    """Return true if the decision already stands as requested: the client may have lost the reply."""
    return approval == (Approval.GRANTED if approved else Approval.DENIED)


def why_undecidable(state: str, approval: str | None) -> str:
    """Explain why `statements.approvals.decide` changed no row, from the job's row as it stands."""
    if JobState(state) not in LIVE:
        return f"The job is over: {state}."
    if approval is None:
        return "The job waits for no approval: its tool needs none."
    if approval == Approval.GRANTED:
        return "The job has been approved already."
    return "The time to decide about the job has passed."
