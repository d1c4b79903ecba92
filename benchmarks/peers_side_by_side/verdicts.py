"""What a side did, in words first and in figures second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers_side_by_side.seen import Seen, Task

ABSENT = "-"
_CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Run:
    """One side in one case, some times over."""

    case: str
    side: str
    conversations: tuple[Seen, ...]


def cell(conversations: Sequence[Seen]) -> str:
    """The table's cell: what happened, and when."""
    words = Counter(verdict(seen) for seen in conversations)
    if len(words) == 1:
        said = next(iter(words))
    else:
        said = "; ".join(f"{times} of {len(conversations)}: {what}" for what, times in words.most_common())
    figures = _times(conversations)
    return f"{said} ({figures})" if figures else said


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


def _times(conversations: Sequence[Seen]) -> str:
    """When the result was delivered, and when a reply began that tells it: medians."""
    parts = []
    for index in range(len(conversations[0].tasks)):
        tasks = [seen.tasks[index] for seen in conversations]
        delivered, told = _median(t.delivered_ms for t in tasks), _median(t.told_ms for t in tasks)
        if delivered != ABSENT:
            parts.append(f"{delivered} → {told}")
    return ", ".join(parts)


def figures(runs: Iterable[Run]) -> str:
    """All of them, one line for each side and case."""
    lines = [
        "| case | side | times | delivered, ms: median (least to most) | told from, ms | replies | refused "
        "| over the user | not told | not delivered |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *map(_line, runs)])


def _line(run: Run) -> str:
    tasks = [task for seen in run.conversations for task in seen.tasks]
    columns = range(len(run.conversations[0].tasks))
    cells = [
        run.case,
        run.side,
        str(len(run.conversations)),
        ", ".join(_spread(seen.tasks[i].delivered_ms for seen in run.conversations) for i in columns),
        ", ".join(_spread(seen.tasks[i].told_ms for seen in run.conversations) for i in columns),
        _numbers(seen.replies for seen in run.conversations),
        _numbers(seen.refused for seen in run.conversations),
        _numbers(seen.over_user for seen in run.conversations),
        f"{sum(task.told_ms is None for task in tasks)} of {len(tasks)}",
        f"{sum(task.delivered_ms is None for task in tasks)} of {len(tasks)}",
    ]
    return f"| {' | '.join(cells)} |"


def _median(values: Iterable[float | None]) -> str:
    there = [value for value in values if value is not None]
    return _ms(median(there)) if there else ABSENT


def _spread(values: Iterable[float | None]) -> str:
    there = [value for value in values if value is not None]
    return f"{_ms(median(there))} ({_ms(min(there))} to {_ms(max(there))})" if there else ABSENT


def _ms(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _numbers(values: Iterable[int]) -> str:
    """The same number each time, or from which to which."""
    numbers = sorted(values)
    return str(numbers[0]) if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"
