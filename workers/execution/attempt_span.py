"""The span of one attempt: `execute_tool`, under the root that the gateway tells of the call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import JobState
from ringback.privacy.redaction import of_arguments
from ringback.telemetry import names
from ringback.telemetry.call_trace import TRACEPARENT
from ringback.tools.gate import Ended
from workers.execution.claim import Job
from workers.execution.retry_policy import Verdict
from workers.execution.waiting import Steps

if TYPE_CHECKING:
    from ringback.telemetry.call_spans import CallSpans


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of an attempt: what it shows of the tool, the verdict on the job, and the state that it is in now."""

    end: Ended
    verdict: Verdict
    state: str


def in_span(spans: CallSpans, job: Job, worker_id: str, headers: Mapping[str, object], steps: Steps[Ran]) -> Steps[Ran]:
    """Carry out the steps of an attempt in its span, if the call is traced.

    Args:
        headers: of the message; none if a sweeper without traces published it.
    """
    if not spans.samples(job.id, headers.get(TRACEPARENT)):
        return (yield from steps)
    said = _attributes(job, worker_id, tells_pii=spans.tells_pii)
    with spans.attempt(job.id, job.attempt, f"{names.EXECUTE} {job.tool}", said, headers) as span:
        ran = yield from steps
        span.note({names.JOB_STATE: str(ran.state)})
        if (error := error_type(ran.verdict)) is not None:
            span.fail(error)
        if spans.tells_pii and isinstance(ran.verdict, Outcome):
            shown, _ = job.row_privacy.outcome(ran.verdict, job.session_id, job.redact)
            span.note({names.RESULT: json.dumps(shown.result if shown.error is None else shown.error)})
        return ran


def error_type(verdict: Verdict) -> str | None:
    """Return the code of an attempt that failed, which holds no words of a call; None if the tool succeeded."""
    outcome = verdict if isinstance(verdict, Outcome) else verdict.reason
    return None if outcome.state is JobState.SUCCEEDED else outcome.code or str(outcome.state)


def _attributes(job: Job, worker_id: str, *, tells_pii: bool) -> dict[str, Any]:
    said = {
        names.OPERATION: names.EXECUTE,
        names.TOOL: job.tool,
        names.TOOL_TYPE: names.FUNCTION,
        names.TOOL_CALL: job.call_id,
        names.CONVERSATION: str(job.session_id),
        names.AGENT: job.agent,
        names.JOB: str(job.id),
        names.ATTEMPT: job.attempt,
        names.WORKER: worker_id,
    }
    if tells_pii:
        shown = job.row_privacy.redaction.data(job.arguments, of_arguments(job.redact))
        said |= {names.ARGUMENTS: json.dumps(shown), names.USER: job.user}
    return said
