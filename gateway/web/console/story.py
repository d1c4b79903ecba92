"""What happened in a talk, as spans, marks and waits: from its moments, its calls and its transcript. Pure.

Moments are missing of a talk that a gateway of an older version held: then the transcript shows when each sentence was
written, and no voice has a length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, NamedTuple

from gateway.web.console.timeline import Mark, Span
from ringback.history.documents import Job, ListedJob, ShownMoment
from ringback.jobs.states import HeardBy
from ringback.moments import MomentKind

CALLER, MODEL, CALLS, LINE = LANES = ("Caller", "Model", "Calls", "Connection")
MOST_WAITS = 5
SHORT_WAIT = 700.0
"""Milliseconds: a shorter silence is how people talk."""
OVERLAPS = 3
"""Calls that a wait is explained with."""


class Part(NamedTuple):
    """One part of the time that a caller waited for a result: `share` of the whole in per cent, from `x` on."""

    name: str
    ms: float
    kind: str
    x: float
    share: float


class Wait(NamedTuple):
    """A time in which the caller waited, from `at` on (milliseconds from the beginning), and why."""

    at: float
    ms: float
    what: str
    why: str
    job_id: str


class Story(NamedTuple):
    """A talk, ready to be drawn."""

    spans: list[Span]
    marks: list[Mark]
    waits: list[Wait]


PARTS = (
    ("waited_ms", "waited for a worker", "queued"),
    ("ran_ms", "ran", "running"),
    ("rang_ms", "went back to the talk", "delivered"),
    ("floor_ms", "waited for a pause", "floor"),
    ("voice_ms", "until the first sound", "voice"),
    ("heard_ms", "until it was heard", "heard"),
)
"""Parts of the time until a result was heard, in order: the field of a job's timeline, what it is, its colour."""


def parts_of(job: Job) -> list[Part]:
    """Return what the caller waited for, in order; parts that are not known are left out."""
    known = [(name, getattr(job.timeline, field), kind) for field, name, kind in PARTS]
    known = [(name, ms, kind) for name, ms, kind in known if ms is not None]
    whole = sum(ms for _, ms, _ in known) or 1.0
    parts, x = [], 0.0
    for name, ms, kind in known:
        parts.append(Part(name, ms, kind, round(x, 3), round(ms / whole * 100, 3)))
        x += ms / whole * 100
    return parts


def story(
    began: datetime, moments: Sequence[ShownMoment], jobs: Sequence[ListedJob], lines: Sequence[Any], anchor: str = "t"
) -> Story:
    """Return the story of a talk.

    Args:
        moments: oldest first.
        lines: of the transcript (`ringback.operator_view.Line`), in order; the row of line 3 is `#t-3`.
    """

    def ms(at: datetime) -> float:
        return max(0.0, (at - began).total_seconds() * 1_000)

    numbered = [(number, line.who, ms(line.at)) for number, line in enumerate(lines)]

    def line_at(who: str, at: float) -> str:
        near = [(abs(said - at), number) for number, speaker, said in numbered if speaker == who]
        return f"#{anchor}-{min(near)[1]}" if near else ""

    spans = [*_caller(moments, ms, line_at), *_model(moments, ms, line_at), *_line(moments, ms)]
    marks = list(_marks(moments, ms))
    if not any(span.lane in (CALLER, MODEL) for span in spans):
        lanes = {"user": CALLER, "assistant": MODEL}
        spans += [Span(lanes[who], at, at, "said", "said", f"#{anchor}-{n}") for n, who, at in numbered if who in lanes]
    for job in jobs:
        job_spans, job_marks = _call(job, ms)
        spans += job_spans
        marks += job_marks
    return Story(spans, marks, _waits(moments, jobs, ms))


Ms = Callable[[datetime], float]
LineAt = Callable[[str, float], str]


def _caller(moments: Sequence[ShownMoment], ms: Ms, line_at: LineAt) -> Iterator[Span]:
    began: float | None = None
    over, epoch = _over(moments, ms), 0
    for moment in moments:
        at = ms(moment.at)
        if began is not None and moment.epoch > epoch and epoch in over:  # their gateway was killed as they spoke
            yield Span(CALLER, began, over[epoch], "caller", "the caller speaks", key="voice")
            began = None
        epoch = max(epoch, moment.epoch)
        if moment.kind == MomentKind.USER_BEGAN:
            began = at
        elif moment.kind == MomentKind.USER_ENDED and began is not None:
            if moment.detail != "silent":
                yield Span(CALLER, began, at, "caller", "the caller speaks", line_at("user", at), key="voice")
            began = None
        elif moment.kind == MomentKind.USER_TYPED:
            yield Span(CALLER, at, at, "caller", "the caller types", line_at("user", at), key="voice")
    if began is not None:
        yield Span(CALLER, began, None, "caller", "the caller speaks", key="voice")


def _model(moments: Sequence[ShownMoment], ms: Ms, line_at: LineAt) -> Iterator[Span]:
    """Yield the model's voice. A client plays one response after the other, and gets them faster than it plays."""
    ends = {moment.response_id: moment for moment in moments if moment.kind == MomentKind.RESPONSE_ENDED}
    played = {moment.response_id: moment for moment in moments if moment.kind == MomentKind.RESPONSE_PLAYED}
    free, over = 0.0, _over(moments, ms)
    for moment in moments:
        if moment.kind != MomentKind.RESPONSE_SPOKE:
            continue
        at, end = max(free, ms(moment.at)), ends.get(moment.response_id)
        heard = played.get(moment.response_id)
        is_known = heard is not None and heard.detail != HeardBy.UNKNOWN
        until = ms(heard.at) if heard and is_known else at + end.ms if end and end.ms else ms(end.at) if end else None
        if until is None and moment.epoch in over:  # its gateway was killed as it spoke
            until = over[moment.epoch]
        free = max(at, until or at)
        cut = end is not None and end.detail == "cancelled"
        label = "the model speaks, and is cut off" if cut else "the model speaks"
        kind = "cut" if cut else "model"
        yield Span(MODEL, at, None if until is None else max(at, until), kind, label, line_at("assistant", at), "voice")


def _over(moments: Sequence[ShownMoment], ms: Ms) -> dict[int, float]:
    """Return when each epoch whose gateway was killed was last heard of: it told no end, and another has followed."""
    told = {moment.epoch for moment in moments if moment.kind == MomentKind.EPOCH_ENDED}
    newest = max((moment.epoch for moment in moments), default=0)
    return {moment.epoch: ms(moment.at) for moment in moments if moment.epoch < newest and moment.epoch not in told}


def _line(moments: Sequence[ShownMoment], ms: Ms) -> Iterator[Span]:
    """Yield the epochs. A gateway that was killed told no end: its epoch ended after its last moment."""
    ends = {moment.epoch: moment for moment in moments if moment.kind == MomentKind.EPOCH_ENDED}
    over = _over(moments, ms)
    starts = [moment for moment in moments if moment.kind == MomentKind.EPOCH_BEGAN]
    for start, following in zip_longest(starts, starts[1:]):
        name, end = f"epoch {start.epoch}", ends.get(start.epoch)
        if end is not None:
            ended = f"{name}, ended: {end.detail or 'unknown'}"
            yield Span(LINE, ms(start.at), ms(end.at), "epoch", ended, key="line")
        elif following is None:
            yield Span(LINE, ms(start.at), None, "epoch", name, key="line")
        else:
            until = min(over[start.epoch], ms(following.at))
            lost = f"{name}: its gateway was lost in this time"
            yield Span(LINE, ms(start.at), until, "epoch", name, key="line")
            yield Span(LINE, until, ms(following.at), "unknown", lost, key="line")


_MARKED = {
    MomentKind.BARGE_IN: (CALLER, "barge_in", "barge-in: the caller talks over the model"),
    MomentKind.CLIENT_CAME: (LINE, "came", "the client came"),
    MomentKind.CLIENT_LEFT: (LINE, "left", "the client left"),
}


def _marks(moments: Sequence[ShownMoment], ms: Ms) -> Iterator[Mark]:
    for moment in moments:
        for kind, (lane, colour, label) in _MARKED.items():
            if moment.kind == kind:
                yield Mark(lane, ms(moment.at), colour, f"{label} ({moment.detail})" if moment.detail else label)


def _call(job: ListedJob, ms: Ms) -> tuple[list[Span], list[Mark]]:
    key, link, asked = str(job.id), f"/console/jobs/{job.id}", ms(job.created_at)
    began = None if job.started_at is None else ms(job.started_at)
    ended = None if job.finished_at is None else ms(job.finished_at)
    waited = began if began is not None else ended
    spans = [Span(CALLS, asked, waited, "queued", f"{job.tool} waits for a worker", link, key)]
    if began is not None:
        label = f"{job.tool} runs" if ended is None else f"{job.tool} ran"
        spans.append(Span(CALLS, began, ended, f"run-{job.state}", label, link, key))
    if ended is None:
        return spans, []
    heard = job.heard_at or job.spoken_at
    if heard is not None:
        spans.append(Span(CALLS, ended, max(ended, ms(heard)), "delivered", f"{job.tool}: on its way back", link, key))
    marks = [Mark(CALLS, ms(job.heard_at), "heard", f"{job.tool}: heard", key)] if job.heard_at else []
    return spans, marks


def _waits(moments: Sequence[ShownMoment], jobs: Sequence[ListedJob], ms: Ms) -> list[Wait]:
    """Return the longest waits: silences after the caller spoke, and calls until their result was heard."""
    found = [*_silences(moments, jobs, ms), *(wait for job in jobs if (wait := _felt(job, ms)) is not None)]
    return sorted(found, key=lambda wait: -wait.ms)[:MOST_WAITS]


def _silences(moments: Sequence[ShownMoment], jobs: Sequence[ListedJob], ms: Ms) -> Iterator[Wait]:
    since: float | None = None
    for moment in moments:
        at = ms(moment.at)
        if moment.kind in (MomentKind.USER_ENDED, MomentKind.USER_TYPED) and moment.detail != "silent":
            since = at
        elif moment.kind == MomentKind.USER_BEGAN:
            since = None
        elif moment.kind == MomentKind.RESPONSE_SPOKE and since is not None:
            if at - since >= SHORT_WAIT:
                why, job_id = _because(since, at, jobs, ms)
                yield Wait(since, at - since, "silence after the caller spoke", why, job_id)
            since = None


def _because(since: float, until: float, jobs: Sequence[ListedJob], ms: Ms) -> tuple[str, str]:
    over = []
    for job in jobs:
        asked, ended = ms(job.created_at), ms(job.finished_at) if job.finished_at else until
        shared = min(until, ended) - max(since, asked)
        if shared > 0:
            over.append((shared, job))
    if not over:
        return "no call was running: the model took this long", ""
    over.sort(key=lambda each: -each[0])
    told = ", ".join(f"{job.tool} took {_seconds(shared)} of it" for shared, job in over[:OVERLAPS])
    return told, str(over[0][1].id)


def _felt(job: ListedJob, ms: Ms) -> Wait | None:
    heard = job.heard_at or job.spoken_at
    if heard is None or job.finished_at is None:
        return None
    asked, ended = ms(job.created_at), ms(job.finished_at)
    began = ms(job.started_at) if job.started_at else ended
    parts = [("in the queue", began - asked), ("running", ended - began), ("until it was heard", ms(heard) - ended)]
    why = ", ".join(f"{_seconds(length)} {name}" for name, length in parts if length >= 50)
    what = f"until the result of {job.tool} was heard"
    return Wait(asked, ms(heard) - asked, what, why or "at once", str(job.id))


def _seconds(ms: float) -> str:
    return f"{ms / 1_000:.1f} s"
