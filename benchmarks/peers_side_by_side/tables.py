"""What all sides did in all cases, as tables: words first, figures second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from benchmarks.peers_side_by_side.cases import CASES
from benchmarks.peers_side_by_side.seen import Seen
from benchmarks.peers_side_by_side.verdicts import verdict

ABSENT = "-"


@dataclass(frozen=True)
class Run:
    """One side in one case, some times over.

    Args:
        option: what it was told beside its defaults.
        note: stands in the place of conversations.
    """

    case: str
    side: str
    option: str = ""
    conversations: tuple[Seen, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """The side with its option."""
        return f"{self.side}, {self.option}" if self.option else self.side


def together(runs: Sequence[Run], more: Run) -> list[Run]:
    """What another round has brought is added to what is there of the same side, case and option."""
    same = [run for run in runs if (run.case, run.name) == (more.case, more.name)]
    if not same:
        return [*runs, more]
    conversations = same[0].conversations + more.conversations
    joined = replace(more, conversations=conversations, note="" if conversations else more.note)
    return [joined if run is same[0] else run for run in runs]


def table(runs: Sequence[Run], heads: Mapping[str, str]) -> str:
    """A row for each case, a column for each side; an option stands in its framework's column.

    Args:
        heads: each side's name at the head of its column.
    """
    lines = [f"| | {' | '.join(heads.values())} |", f"|{' --- |' * (len(heads) + 1)}"]
    for case in CASES:
        cells = [[run for run in runs if run.case == case.key and run.side == side] for side in heads]
        if any(cells):
            lines.append(f"| {case.title} | {' | '.join(map(_cells, cells))} |")
    return "\n".join(lines)


def _cells(runs: Sequence[Run]) -> str:
    return "<br>".join(f"with {run.option}: {cell(run)}" if run.option else cell(run) for run in runs)


def cell(run: Run) -> str:
    """What happened, and when."""
    if run.note:
        return run.note
    conversations = run.conversations
    words = Counter(verdict(seen) for seen in conversations)
    if len(words) == 1:
        said = next(iter(words))
    else:
        said = "; ".join(f"{times} of {len(conversations)}: {what}" for what, times in words.most_common())
    figures = _times(conversations)
    return f"{said} ({figures})" if figures else said


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
    return "\n".join([*lines, *(_line(run) for run in runs if run.conversations)])


def _line(run: Run) -> str:
    tasks = [task for seen in run.conversations for task in seen.tasks]
    columns = range(len(run.conversations[0].tasks))
    cells = [
        run.case,
        run.name,
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
