"""What a side did in a conversation, in words."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.peers_side_by_side.seen import Seen, Task

_CANCELLED = "CANCELLED"


def verdict(seen: Seen) -> str:
    """One conversation in words."""
    told = [task for task in seen.tasks if task.told_ms is not None]
    if len(told) == len(seen.tasks):
        said = _told(seen)
    elif told:
        missing = ", ".join(f"{task.name} {_untold(task)}" for task in seen.tasks if task.told_ms is None)
        said = f"{len(told)} of {len(seen.tasks)} told, {missing}"
    else:
        said = " and ".join(sorted({_untold(task) for task in seen.tasks}))
    return ", ".join([said, *_remarks(seen)])


def is_held_up(seen: Seen) -> bool:
    """No result was delivered before the slowest was there."""
    works = [task.works_ms for task in seen.tasks]
    times = [task.delivered_ms for task in seen.tasks if task.delivered_ms is not None]
    return len(set(works)) > 1 and len(times) == len(works) and min(times) >= max(works)


def _told(seen: Seen) -> str:
    if len(seen.tasks) == 1:
        return "told"
    firsts = {task.told_in[0] for task in seen.tasks}
    return "both told in one reply" if len(firsts) == 1 else "both told, one after the other"


def _untold(task: Task) -> str:
    if task.delivered_ms is not None:
        return "delivered, never told"
    if _CANCELLED in task.instead:
        return "cancelled"
    return f"answered with “{task.instead}”" if task.instead else "**lost**"


def _remarks(seen: Seen) -> Iterable[str]:
    if is_held_up(seen):
        yield "the first held up by the second"
    if any(task.calls > 1 for task in seen.tasks):
        yield "called again"
    if any(len(task.told_in) > 1 for task in seen.tasks):
        yield "told twice"
    if seen.over_user:
        yield "over the user's words"
    if seen.unanswered:
        yield "in the place of the answer to the user"
    if seen.refused:
        yield f"{seen.refused} refused"
