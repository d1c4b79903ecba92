"""Sentences on why a call can be neither approved nor denied, or not be run once more. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback.jobs.states import LIVE, Approval, Effect, JobState


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


def why_no_rerun(
    *,
    state: str,
    queue: str,
    arguments: Any,
    approval: str | None,
    effect: str,
    manners: Mapping[str, Any],
    is_sealed: bool,
    is_confirmed: bool,
) -> str | None:
    """Explain why a job may not be run once more; None if it may. `acts.rerun` has the same conditions.

    Args:
        manners: the tool's behavior, as the call's row has it.
        is_sealed: whether the whole arguments still lie beside those that the row shows.
        is_confirmed: whether the operator has said that an effect may happen a second time.
    """
    if JobState(state) in LIVE:
        return f"The job is not over: {state}. Cancel it, or wait for its end."
    if not queue or not isinstance(arguments, dict):
        return "No worker took part in the job: there is no run to repeat."
    if approval not in {None, Approval.GRANTED}:
        return "The job was not approved, so it is not run."
    if manners.get("redact") and not is_sealed:
        return "The job's arguments are kept without what was redacted, so it cannot be run again."
    if effect == Effect.AT_MOST_ONCE and not is_confirmed:
        return "Its tool is at_most_once, and a second run may have its effect a second time: confirm that."
    return None
