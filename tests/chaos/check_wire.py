"""What must hold of each upstream conversation, read off the wire's ledger. Pure.

I6  what the model was told to try later was not done · I8 an answer enters a conversation once · I9 it is of this
conversation · I10 and never before its call · I12 one response at a time, none for nothing · G1 in a conversation that
lives to the end, every call is answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gateway.protocol import OURS
from ringback.jobs.outcomes import from_row
from tests.chaos.evidence import Connection, Evidence, JobRow, Violation
from tests.chaos.ledger import CANARY
from tests.chaos.model import OUTPUT

RESERVED_SECONDS = 9.0
"""A create of ours that got no word for so long is taken for lost by the gateway, which asks again."""
CLIENTS = OURS + "client_"
UNAVAILABLE = "temporarily_unavailable"
"""The code of an answer without a row: Postgres was away, and the model was told so."""
UNHEARD = "outcome_unknown"
"""And where the gateway could not know whether there is one: whatever the row says is right."""


def check_wire(run: Evidence) -> Iterator[Violation]:
    """Every violation, each with the connection that shows it."""
    rows = {job.call_id: job for job in run.jobs}
    for connection in run.connections.values():
        yield from _answers(connection, rows)
        yield from _denied(connection, rows, run)
        yield from _refusals(connection)
        yield from _creates(connection, run)
        if connection.farewell is not None:
            yield from _all_answered(connection, run.jobs_of.get(connection.farewell, []))
    for told in run.clients:
        if told.foreign:
            yield Violation("I9", f"client {told.number} heard {', '.join(told.foreign)}")


def collisions(run: Evidence) -> int:
    """How often a response.create met an active response, the clients' own among them."""
    errors = (entry for entry in run.wire if (entry.by, entry.kind) == ("model", "error"))
    return sum(entry.rest["code"] == "conversation_already_has_active_response" for entry in errors)


def _answers(connection: Connection, rows: dict[str, JobRow]) -> Iterator[Violation]:
    for call_id, times in Counter(str(entry.item.get("call_id")) for entry in connection.outputs).items():
        if times > 1:
            yield Violation("I8", f"connection {connection.number} was told the answer to {call_id} {times} times")
    for entry in connection.outputs:
        call_id, output = entry.item["call_id"], entry.item["output"]
        arguments = connection.calls.get(call_id)
        whose = {match.group() for match in CANARY.finditer(output)}
        if arguments is not None and any(canary not in arguments for canary in whose):
            yield Violation("I9", f"connection {connection.number} was told {output} for {arguments}")
        if UNAVAILABLE in output or UNHEARD in output:
            continue
        job = rows.get(call_id)
        if job is None:
            yield Violation("I3", f"connection {connection.number} was told of {call_id}, which is no job: {output}")
        elif job.finished_at is None or from_row(job.state, job.result, job.error).output() != output:
            yield Violation("I3", f"connection {connection.number} was told {output}, and job {job.id} is {job.state}")


def _denied(connection: Connection, rows: dict[str, JobRow], run: Evidence) -> Iterator[Violation]:
    """A call that the model may make once more had no effect that counts."""
    for entry in connection.outputs:
        job = rows.get(entry.item["call_id"])
        denied = job is not None and job.effect != "pure" and UNAVAILABLE in entry.item["output"]
        if job is not None and denied and run.effects_of.get(job.id):
            yield Violation("I6", f"connection {connection.number} was told to try job {job.id} later, and it was done")


def _refusals(connection: Connection) -> Iterator[Violation]:
    """What the fake refuses of ours is a fault of the gateway's."""
    for entry in connection.by("model", "error"):
        code, about = entry.rest["code"], str(entry.rest.get("about"))
        if code == "invalid_tool_call_id":
            yield Violation("I10", f"connection {connection.number} was told an answer before its call ({about})")
        elif code not in ("conversation_already_has_active_response", "session_expired"):
            yield Violation("I10", f"connection {connection.number} refused {about}: {code}")


def _creates(connection: Connection, run: Evidence) -> Iterator[Violation]:
    """I12. The one before it must have had its time; and there must be something to speak of.

    A gateway that was paused for longer than that finds, before it reads anything, that its create had no answer.
    """
    news, last = False, 0.0
    refused = {
        entry.rest.get("about"): entry.at
        for entry in connection.by("model", "error")
        if entry.rest["code"] == "conversation_already_has_active_response"
    }
    for entry in connection.entries:
        about = str(entry.rest.get("event_id"))
        is_create = (entry.by, entry.kind) == ("gateway", "response.create")
        is_ours = about.startswith(OURS) and not about.startswith(CLIENTS)
        if entry.kind == "conversation.item.create" and entry.by == "gateway":
            news = news or entry.item.get("type") == OUTPUT or entry.item.get("role") in ("user", "system")
        elif is_create and is_ours and about in refused and refused[about] - last < RESERVED_SECONDS:
            yield Violation("I12", f"connection {connection.number}: {about} while a response was active")
        elif is_create and is_ours and not news and _was_awake(run, last, entry.at):
            yield Violation("I12", f"connection {connection.number}: {about} with nothing to speak of")
        if is_create:
            last = entry.at
        if (entry.by, entry.kind) == ("model", "response.created"):
            news = False


def _was_awake(run: Evidence, since: float, until: float) -> bool:
    return run.quiet(since, until) > min(RESERVED_SECONDS, until - since) / 2


def _all_answered(connection: Connection, jobs: list[JobRow]) -> Iterator[Violation]:
    """G1, in the conversation that lived to the end of the run."""
    where = f"connection {connection.number}, the last of session {connection.farewell},"
    for call_id in connection.calls:
        if len(connection.answered.get(call_id, [])) != 1:
            times = len(connection.answered.get(call_id, []))
            yield Violation("G1", f"{where} holds the call {call_id} and {times} answers")
    for job in jobs:
        if job.call_id not in connection.calls and not connection.may_be_cut:
            yield Violation("G1", f"{where} does not hold the call {job.call_id} of job {job.id}")
