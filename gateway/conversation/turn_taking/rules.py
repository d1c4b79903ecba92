"""What the gateway asks the model for next, and when: an ordered list of rules, each with its reason.

The first rule that has something due now decides. A rule says when it may ask, if no event comes first; infinity means
that only an event can tell. Questions and fillers wait until every result is told. How long a result waits,
`late_results` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from gateway.conversation.call_table import Call
from gateway.conversation.turn_taking.late_results import due_at
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turn_taking.slot import By, Idle
from gateway.conversation.turn_taking.user import busy_until


@dataclass(frozen=True, slots=True)
class Ask:
    """What is due: a create of this kind, about these calls."""

    by: By
    about: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of create.

    Args:
        reason: why it stands at its place, for docs/turn-taking.md.
        at: when it may be sent.
        about: the calls that it is about then.
    """

    by: By
    reason: str
    at: Callable[[ResponseScheduler, float], float]
    about: Callable[[ResponseScheduler, float], tuple[Call, ...]] = lambda _scheduler, _now: ()


def _clients_at(scheduler: ResponseScheduler, _now: float) -> float:
    return _free_at(scheduler) if scheduler.waiting else inf


def _results_at(scheduler: ResponseScheduler, now: float) -> float:
    moments = [due_at(call, scheduler) for call in scheduler.calls.untold()]
    if scheduler.owed_at is not None:
        moments.append(scheduler.owed_at)
    return max(_ours_at(scheduler, now), min(moments)) if moments else inf


def _questions_at(scheduler: ResponseScheduler, now: float) -> float:
    if not scheduler.asks_aloud or not _questions(scheduler, now):
        return inf
    return max(_aside_at(scheduler, now), _urgent_at(scheduler))


def _questions(scheduler: ResponseScheduler, _now: float) -> tuple[Call, ...]:
    return tuple(call for call in scheduler.calls.waiting_for_yes() if call.question_heard_in is None)


def _fillers_at(scheduler: ResponseScheduler, now: float) -> float:
    moments = [moment for _, moment in _fillers(scheduler)]
    return max(_aside_at(scheduler, now), min(moments)) if moments else inf


def _filled(scheduler: ResponseScheduler, now: float) -> tuple[Call, ...]:
    return tuple(call for call, moment in _fillers(scheduler) if moment <= now)


def _fillers(scheduler: ResponseScheduler) -> list[tuple[Call, float]]:
    """The calls of which there is something to say, each with when it may be said."""
    due = ((call, _filler_at(call)) for call in scheduler.calls.running())
    urgent, quiet = _urgent_at(scheduler), scheduler.quiet_at
    return [(call, max(at, urgent if is_queued(call) else quiet)) for call, at in due if at is not None]


def _filler_at(call: Call) -> float | None:
    if call.is_unwanted or call.is_denied or not call.is_own or call.waits_for_yes:
        return None
    if call.queue_seconds and call.filled_at is None:
        return call.began_at
    behavior = call.behavior
    if behavior.say_after is None:
        return None
    first = call.began_at + behavior.say_after
    if call.filled_at is None or call.filled_at < first:  # the one before was about its place in the queue
        return first
    return call.filled_at + behavior.say_every if behavior.say_every is not None else None


def is_queued(call: Call) -> bool:
    """Return True where the user should hear that it waits for a worker: before they wait themselves."""
    return bool(call.queue_seconds) and (call.behavior.say_after is None or call.filled_at is None)


def _free_at(scheduler: ResponseScheduler) -> float:
    """When the slot may be taken."""
    return scheduler.slot.not_before if isinstance(scheduler.slot, Idle) else inf


def _ours_at(scheduler: ResponseScheduler, now: float) -> float:
    """The same, for what the gateway asks for: the user goes first, and a server that failed has a pause."""
    return max(_free_at(scheduler), scheduler.pacing.retry_at, busy_until(scheduler.user), now)


def _urgent_at(scheduler: ResponseScheduler) -> float:
    """When something urgent may be said: right behind the model, and not right behind the user."""
    return max(scheduler.plays_until, scheduler.user_spoke_at + scheduler.quiet_seconds)


def _aside_at(scheduler: ResponseScheduler, now: float) -> float:
    """When something may be said that tells no result: never while one is there to be told."""
    if scheduler.waiting or scheduler.owed_at is not None or scheduler.calls.untold():
        return inf
    return _ours_at(scheduler, now)


RULES = (
    Rule(By.CLIENT, "The client has asked: it waits for the slot alone, and is never refused for what the gateway did.",
         _clients_at),
    Rule(By.RESULTS, "A result is there, and is news: no question and no filler is worth more.", _results_at),
    Rule(By.QUESTION, "A call cannot begin before the user agrees, so the question is urgent.",
         _questions_at, _questions),
    Rule(By.FILLER, "A call takes long. It can wait: it tells no news.", _fillers_at, _filled),
)  # fmt: skip


def next_ask(scheduler: ResponseScheduler, now: float) -> Ask | None:
    """Return what is due now, by the first rule that has something."""
    if not _may_ask(scheduler):
        return None
    for rule in RULES:
        if rule.at(scheduler, now) <= now:
            return Ask(rule.by, rule.about(scheduler, now))
    return None


def wake_at(scheduler: ResponseScheduler, now: float) -> float:
    """Return when `next_ask` has something, if no event comes first; infinity where only an event can tell."""
    return min([rule.at(scheduler, now) for rule in RULES]) if _may_ask(scheduler) else inf


def _may_ask(scheduler: ResponseScheduler) -> bool:
    """Return False where no rule can have anything: while a response is under way, and where nothing is open."""
    if not isinstance(scheduler.slot, Idle):
        return False
    return scheduler.calls.any_open or bool(scheduler.waiting) or scheduler.owed_at is not None
