"""What must hold between the conversations of one session, its epochs. Pure.

I8   what a row calls acked or replayed in an epoch, the conversation of that epoch was told
I8c  what was finished in time for an epoch, its conversation was told
I10  a rebuilt conversation keeps the order of what was said
I19  when all clients have gone, every session comes to its end
G10  a token that is good is taken
I11  one gateway and one conversation at a time; after an epoch has begun, the one before it is told nothing more
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ringback.jobs.states import TERMINAL, Delivery
from tests.chaos.evidence import Connection, Evidence, JobRow, Refusal, SessionStep, Violation, maker_of
from tests.chaos.ledger import CANARY
from tests.line import PLACED

FENCED_SECONDS = 3.0
"""Of quiet: the heartbeat after which an old gateway is silent takes two, and the machine is busy."""
DELIVERED_SECONDS = 15.0
"""Of quiet: an answer that waits for so long in an epoch was forgotten. The looks that find it are a second apart, but
a Postgres that has just recovered on a busy machine may take seconds for a commit."""
HELD = ("open", "draining")


def check_epochs(run: Evidence) -> Iterator[Violation]:
    """Every violation, each with the session and the epoch that show it."""
    for job in run.jobs:
        yield from _was_told(job, run)
        yield from _made_where_recorded(job, run)
    for session, steps in run.sessions_of.items():
        yield from _fenced(session, steps, run)
        yield from _told_in_time(session, steps, run)
        yield from _in_order(session, run)
        if steps[-1].state != "ended":
            last = f"{steps[-1].state} in epoch {steps[-1].epoch}, held by {steps[-1].gateway_id}"
            yield Violation("I19", f"session {session} is left behind, {last}")
    for told in run.clients:
        for session in told.double:
            yield Violation("I11", f"two gateways took client {told.number} into session {session} for one token")
        for refusal in told.refusals:
            yield from _good_token_refused(told.number, refusal, run)
        if told.last_words is False:
            yield Violation("L1", f"client {told.number} asked in the calm, and was not answered")


def why_refused(refusal: Refusal, run: Evidence) -> str:
    """What the session was when its token was not taken; "good" where it should have been."""
    before = [step for step in run.sessions_of.get(refusal.session_id, []) if step.at <= refusal.at]
    if not before or before[-1].state == "ended":
        return "ended"
    if before[-1].epoch != refusal.epoch:
        return "used"  # the answer to the one who used it was lost on the way
    went = next(step.at for step in before if (step.state, step.epoch) == (before[-1].state, before[-1].epoch))
    is_late = before[-1].state == "detached" and refusal.at - went > run.resume_seconds - 1
    return "late" if is_late else "good"


def _good_token_refused(client: int, refusal: Refusal, run: Evidence) -> Iterator[Violation]:
    if why_refused(refusal, run) == "good":
        where = f"session {refusal.session_id} in epoch {refusal.epoch}"
        yield Violation("G10", f"client {client} came back with its token for {where}, and was refused")


def _was_told(job: JobRow, run: Evidence) -> Iterator[Violation]:
    for step in run.steps_of.get(job.id, []):
        connection = _connection(job.session_id, step.epoch, run)
        if connection is None or step.delivery not in PLACED:
            continue
        if job.call_id in connection.answered:
            continue
        # A rebuild that was cut short has told nothing of what stands behind the cut.
        if step.delivery == Delivery.ACKED or (_is_rebuilt(connection) and not connection.may_be_cut):
            where = f"epoch {step.epoch} of session {job.session_id} (connection {connection.number})"
            yield Violation("I8", f"job {job.id} is {step.delivery} in {where}, which was never told its answer")


def _is_rebuilt(connection: Connection) -> bool:
    """Somebody has spoken in it: the log was told before."""
    return bool(connection.by("gateway", "response.create"))


def _made_where_recorded(job: JobRow, run: Evidence) -> Iterator[Violation]:
    connection = run.switcher.get((job.session_id, job.epoch))
    if connection is not None and connection != maker_of(job.call_id):
        yield Violation(
            "I11",
            f"job {job.id} was recorded in epoch {job.epoch} of session {job.session_id}, which is connection "
            f"{connection}, and its call was made in connection {maker_of(job.call_id)}",
        )


def _fenced(session: str, steps: list[SessionStep], run: Evidence) -> Iterator[Violation]:
    for before, after in pairwise(steps):
        if after.epoch < before.epoch or after.epoch > before.epoch + 1:
            yield Violation("I11", f"session {session} went from epoch {before.epoch} to {after.epoch}")
        connection = _connection(session, before.epoch, run)
        if after.epoch == before.epoch or connection is None:
            continue
        late = [entry for entry in connection.entries if entry.by == "gateway" and entry.at > after.at]
        if late and run.quiet(after.at, late[-1].at) > FENCED_SECONDS:
            yield Violation(
                "I11",
                f"connection {connection.number} was told {late[-1].kind} {late[-1].at - after.at:.1f} s after epoch "
                f"{after.epoch} of session {session} had begun",
            )


def _told_in_time(session: str, steps: list[SessionStep], run: Evidence) -> Iterator[Violation]:
    """Finished, and then the same epoch for long enough with everybody there."""
    for epoch, begin, end in _switcher(steps):
        connection = _connection(session, epoch, run)
        if connection is None or not _is_rebuilt(connection) or connection.may_be_cut:
            continue
        end = min(end, connection.closed or end)
        for job in run.jobs_of.get(session, []):
            if job.finished_at is None or job.epoch > epoch or job.state not in TERMINAL:
                continue
            since = max(job.finished_at, begin, connection.opened)
            if since < end and run.quiet(since, end) > DELIVERED_SECONDS and job.call_id not in connection.answered:
                where = f"connection {connection.number} (epoch {epoch} of session {session})"
                yield Violation("I8c", f"job {job.id} was over {end - since:.1f} s before the end of {where}")


def _switcher(steps: list[SessionStep]) -> Iterator[tuple[int, float, float]]:
    """(epoch, from, to) for each span in which a gateway held the session."""
    for index, step in enumerate(steps):
        if step.state not in HELD or (index and steps[index - 1].epoch == step.epoch):
            continue
        ends = (other.at for other in steps[index + 1 :] if other.epoch != step.epoch or other.state not in HELD)
        yield step.epoch, step.at, next(ends, steps[-1].at)


def _in_order(session: str, run: Evidence) -> Iterator[Violation]:
    """Each conversation of a session holds what it shares with those before it in the same order."""
    numbers = sorted({number for (owner, _), number in run.switcher.items() if owner == session})
    place: dict[str, int] = {}
    for number in numbers:
        connection = run.connections.get(number)
        names = [name for item in (connection.added if connection else []) if (name := _name(item))]
        shared = [name for name in names if name in place]
        for earlier, later in pairwise(shared):
            if place[earlier] > place[later]:
                yield Violation("I10", f"connection {number} of session {session} holds {earlier} before {later}")
        for name in names:
            place.setdefault(name, len(place))


def _name(item: dict[str, object]) -> str | None:
    """What stays the same of an item from one conversation to the next."""
    if item["type"] == "function_call":
        return f"the call {item['call_id']}"
    if item["type"] != "message":
        return None  # an answer has no place of its own: it follows its call, sooner or later
    content = item.get("content") or [{}]
    text = str(content[0].get("text") or content[0].get("transcript"))  # type: ignore[index]
    return text if text.startswith("[") or CANARY.search(text) else None


def _connection(session: str, epoch: int | None, run: Evidence) -> Connection | None:
    return run.connections.get(run.switcher.get((session, epoch or 0), 0))
