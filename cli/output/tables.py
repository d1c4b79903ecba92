"""Prints the history as aligned columns, with colour on a terminal.

Tool names, arguments and results come from a model or a tool. So none of it is parsed as markup, and control characters
are shown by their code.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from textwrap import indent
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ringback.history.documents import Job, ListedJob, ListedSession, Problem, SessionTimeline, Timeline, Transition
    from ringback.operator_view import Failure, Line, SessionForOperators

PIPE_WIDTH = 120
"""Columns if neither the terminal nor COLUMNS says how many there are."""
WIDE = 100
"""From so many columns on there is room for the less important ones."""
NO_QUEUE = "none: no worker took part in it"
"""Of a call that the gateway served or refused itself."""
NUMBERS = {
    *("TOOK", "LASTED", "LENGTH", "JOBS", "+MS", "RESPONSES", "TOKENS IN", "TOKENS OUT", "US DOLLARS"),
    *("CALLS", "ERRORS", "OLDEST", "ROWS", "RUNNING", "WAITING"),
}
SHORT_ID = 8
"""Characters of an id that are shown, unless two rows begin alike."""

STYLES = {
    **dict.fromkeys(("pending", "running", "open", "draining", "ready", "sent"), "yellow"),
    **dict.fromkeys(("succeeded", "acked", "replayed", "spoken", "heard"), "green"),
    **dict.fromkeys(("failed", "timed_out", "dead", "unknown"), "red"),
}

SPEAKERS = {"user": "bold", "assistant": "cyan"}
"""Of a transcript; calls and results are dim."""


def console() -> Console:
    """Return standard output, as wide as the terminal, or as COLUMNS says."""
    known = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if known else PIPE_WIDTH, highlight=False)


def print_jobs(out: Console, jobs: Sequence[ListedJob], *, of_one_session: bool = False) -> None:
    """Print one line for each job, without SESSION if all have the same."""
    wide = out.width >= WIDE
    ids = _short([job.id for job in jobs])
    in_sessions = _short([job.session_id for job in jobs])
    show = {"QUEUE": wide, "SESSION": wide and not of_one_session}
    rows = [
        {
            "ID": Text(ids[job.id]),
            "CREATED (UTC)": _time(job.created_at, wide),
            "TOOL": _cell(job.tool),
            "QUEUE": _cell(job.queue),
            "STATE": _state(job.state),
            "DELIVERY": _state(job.delivery),
            "TRY": Text(f"{job.attempt}/{job.max_attempts}"),
            "TOOK": _length(job.created_at, job.finished_at),
            "SESSION": Text(in_sessions[job.session_id]),
        }
        for job in jobs
    ]
    print_rows(out, [{name: cell for name, cell in row.items() if show.get(name, True)} for row in rows])


def print_sessions(out: Console, sessions: Sequence[ListedSession]) -> None:
    """Print one line for each session."""
    wide = out.width >= WIDE
    ids = _short([session.id for session in sessions])
    rows = [
        {
            "ID": Text(ids[session.id]),
            "CREATED (UTC)": _time(session.created_at, wide),
            "USER": _cell(session.user_id),
            "AGENT": _cell(session.agent),
            "STATE": _state(session.state),
            "JOBS": Text(str(sum(session.counts.values()))),
            "LASTED": _length(session.created_at, session.ended_at),
            "ENDED BY": _cell(session.end_reason or ""),
        }
        for session in sessions
    ]
    print_rows(out, rows)


def print_job(out: Console, job: Job, failure: Failure | None = None) -> None:
    """Print a call: its fields, each transition with its time, arguments, result, and why its tool failed."""
    _print_title(out, job.tool, f"{job.state}, {_delivery(job)}")
    worker = f", last on {job.worker_id}" if job.worker_id else ""
    _print_pairs(
        out,
        {
            "job": str(job.id),
            "session": f"{job.session_id}, epoch {job.epoch}",
            "call": f"{job.call_id} of {job.response_id or 'an unnamed response'}",
            "queue": f"{job.queue}, {job.effect}, at most {job.timeout:g} s an attempt" if job.queue else NO_QUEUE,
            "attempts": f"{job.attempt} of {job.max_attempts}{worker}" if job.queue else None,
            "created": _exact(job.created_at),
            "approval": job.approval,
            "joined to": str(job.joined_to) if job.joined_to else None,
            "rerun of": f"{job.rerun_of}; no conversation hears of it" if job.rerun_of else None,
            "cancelled": f"reason {job.cancel_reason}" if job.cancel_reason else None,
            "answer": _heard(job),
            "notified": _exact(job.notified_at) if job.notified_at else None,
            "progress": job.progress,
            "summary": job.summary,
        },
    )
    out.print()
    print_rows(out, [_step(step, is_end=step.state == job.state) for step in job.transitions])
    out.print()
    out.print(Text(_durations(job.timeline), style="dim"), soft_wrap=True)
    _print_value(out, "arguments", job.arguments)
    if job.state == "succeeded":
        _print_value(out, "result", job.result)
    elif job.error:
        _print_value(out, "error", _sentence(job.error))
    if failure:
        why = f"{failure.type}{f' at {failure.at}' if failure.at else ''}\n\n{failure.trace}"
        _print_value(out, f"why attempt {failure.attempt} failed", why)


def print_session(out: Console, session: SessionForOperators) -> None:
    """Print a conversation: the number of its jobs in each state, its transcript, and its newest jobs."""
    _print_title(out, session.agent, session.state)
    counts = ", ".join(f"{number} {state}" for state, number in sorted(session.counts.items()))
    ended = f"{_exact(session.ended_at)}, {session.end_reason}" if session.ended_at else None
    _print_pairs(
        out,
        {
            "session": f"{session.id}, epoch {session.epoch}",
            "user": session.user_id,
            "model": session.model,
            "gateway": session.gateway_id,
            "upstream": session.upstream_id,
            "created": _exact(session.created_at),
            "ended": ended,
            "jobs": counts or "none",
        },
    )
    if session.transcript:
        out.print()
        if session.is_cut:
            out.print(Text("… older lines are left out", style="dim"))
        _print_transcript(out, session.transcript)
    if session.jobs.data:
        out.print()
        print_jobs(out, session.jobs.data, of_one_session=True)


def print_timeline(out: Console, timeline: SessionTimeline) -> None:
    """Print one line for each moment, then the calls with when they were heard."""
    answers = {job.answer_id: job.tool for job in timeline.jobs.data if job.answer_id}
    rows = [
        {
            "+MS": Text(f"+{(moment.at - timeline.created_at) / timedelta(milliseconds=1):.1f}", no_wrap=True),
            "MOMENT": Text(printable(moment.kind), no_wrap=True),
            "LENGTH": Text("" if moment.ms is None else f"{moment.ms / 1_000:.1f} s"),
            "DETAIL": _cell(moment.detail or ""),
            "TELLS": _cell(answers.get(moment.response_id or "", "")),
            "RESPONSE": _cell(moment.response_id or ""),
        }
        for moment in timeline.moments
    ]
    print_rows(out, rows)
    if timeline.is_cut:
        out.print(Text("… later moments are not kept", style="dim"))
    if timeline.jobs.data:
        out.print()
        print_jobs(out, timeline.jobs.data, of_one_session=True)


def _print_transcript(out: Console, lines: Sequence[Line]) -> None:
    """Print speaker, time and words, the oldest first; a long line is wrapped."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for line in lines:
        when = Text(f"{line.at:%H:%M:%S}", style="dim", no_wrap=True)
        who = Text(line.who, style=SPEAKERS.get(line.who, "dim"), no_wrap=True)
        table.add_row(when, who, Text(printable(line.text), overflow="fold"))
    out.print(table)


def printable(text: str) -> str:
    """Return the text with every invisible character escaped; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def print_rows(out: Console, rows: Sequence[dict[str, Text]]) -> None:
    """Print aligned columns, named by the keys of the first row."""
    out.print(table_of(rows))


def table_of(rows: Sequence[dict[str, Text]]) -> Table:
    """Return aligned columns, named by the keys of the first row."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in rows[0] if rows else ():
        table.add_column(name, justify="right" if name in NUMBERS else "left")
    for row in rows:
        table.add_row(*row.values())
    return table


def _print_title(out: Console, name: str, state: str) -> None:
    out.print(Text.assemble((printable(name), "bold"), "  ", (state, STYLES.get(state.split(",")[0], ""))))


def _print_pairs(out: Console, pairs: dict[str, str | None]) -> None:
    for name, value in pairs.items():
        if value:
            out.print(Text.assemble((f"{name:<9} ", "dim"), printable(value)), soft_wrap=True)


def _print_value(out: Console, name: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    out.print()
    out.print(Text(name, style="bold"))
    out.print(Text(indent(printable(text), "  ")), soft_wrap=True)


def _step(step: Transition, *, is_end: bool) -> dict[str, Text]:
    """Return one transition as a row; the final error is printed in full below."""
    notes = [
        f"attempt {step.attempt}" if step.state == "running" else "",
        f"epoch {step.epoch}" if step.epoch is not None else "",
        f"approval {step.approval}" if step.approval else "",
        "" if step.error is None else step.error.code if is_end else _sentence(step.error),
    ]
    return {
        "+MS": Text(f"+{step.ms:.1f}", no_wrap=True),
        "STATE": _state(step.state),
        "DELIVERY": _state("" if step.delivery == "none" else step.delivery),
        "WORKER": Text(printable(step.worker_id or "")),
        "": Text(printable(", ".join(filter(None, notes)))),
    }


def _durations(timeline: Timeline) -> str:
    named = {name.removesuffix("_ms"): ms for name, ms in timeline.model_dump().items()}
    return " · ".join(f"{name} {ms:.1f} ms" if ms is not None else f"{name} –" for name, ms in named.items())


def _heard(job: Job) -> str | None:
    """Return what is known of the response that tells the result."""
    if job.answer_id is None:
        return None
    if job.heard_by is None:
        return f"{job.answer_id}, still being said, or cut off from here"
    length = f" of {job.audio_ms / 1_000:.1f} s" if job.audio_ms else ""
    if job.heard_by == "unknown":
        return f"{job.answer_id}, unknown what was heard{length}"
    heard = "text" if job.played_ms is None else f"{job.played_ms / 1_000:.1f} s{length} heard"
    return f"{job.answer_id}, {heard}, known by {job.heard_by}"


def _delivery(job: Job) -> str:
    return "not delivered yet" if job.delivery == "none" else str(job.delivery)


def _sentence(problem: Problem) -> str:
    return f"{problem.code}: {problem.message}" if problem.message else problem.code


def _cell(text: str) -> Text:
    """Return a cell that may be cut if the line is too short."""
    return Text(printable(text).replace("\n", "\\n"), no_wrap=True, overflow="ellipsis")


def _state(state: str) -> Text:
    return Text(state, style=STYLES.get(state, ""), no_wrap=True)


def _time(moment: datetime, wide: bool) -> Text:
    return Text(moment.strftime("%Y-%m-%d %H:%M:%S" if wide else "%m-%d %H:%M:%S"), no_wrap=True)


def _exact(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} UTC"


def _length(start: datetime, end: datetime | None) -> Text:
    if end is None:
        return Text("")
    seconds = (end - start) / timedelta(seconds=1)
    if seconds < 1:
        return Text(f"{seconds * 1000:.0f} ms", no_wrap=True)
    return Text(f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min", no_wrap=True)


def _short(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return prefixes of these ids that are just long enough to differ."""
    known = set(ids)
    length = SHORT_ID
    while len({str(each)[:length] for each in known}) < len(known):
        length += 1
    return {each: str(each)[:length] for each in known}
