"""`ringback queues`, and the acts on queues and tools: list with live figures, pause, resume, limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.operations.acting import Why, operator
from cli.output.history_queries import AsJson, ask, print_json, reading, refuse, writing

if TYPE_CHECKING:
    from rich.text import Text

    from ringback.history.operators import ControlledRow, Figures, LiveQueue, LiveTool
    from ringback.statements.operators.controls import Kind

app = typer.Typer(name="queues", help="List the queues; pause, resume or limit one.", no_args_is_help=True)

Window = Annotated[str | None, typer.Option(help="Figures of the last 15m, 2h, 1d.", metavar="WHEN")]
Queue = Annotated[str, typer.Argument(help="The queue's name.")]
Concurrency = Annotated[str, typer.Argument(help="How many at once, over all workers; or none.", metavar="NUMBER")]
NO_LIMIT = "none"


@app.command("list")
def list_queues(window: Window = None, as_json: AsJson = False) -> None:
    """List the queues: who serves each, what waits and runs, and how the newest calls went."""
    from cli.output import tables
    from ringback.history import operators
    from ringback.history.operators import FiguresQuery
    from ringback.statements.operators import figures

    query = ask(FiguresQuery, {"window": window})
    with reading() as read:
        listing = operators.live_queues(read(figures.live_queues(query.length)))
    if as_json:
        return print_json(listing)
    if not listing.data:
        return typer.echo("No live worker consumes a queue, and no call was made lately.", err=True)
    out = tables.console()
    return tables.print_rows(out, queue_rows(listing.data, wide=out.width >= tables.WIDE))


@app.command("pause")
def pause_queue(name: Queue, reason: Why = None, as_json: AsJson = False) -> None:
    """Pause a queue for all workers: no call of it begins any more. Calls wait until their deadlines."""
    pause("queue", name, reason, as_json=as_json)


@app.command("resume")
def resume_queue(name: Queue, reason: Why = None, as_json: AsJson = False) -> None:
    """Let a paused queue go on; what waited begins within a second. A limit stays."""
    resume("queue", name, reason, as_json=as_json)


@app.command("limit")
def limit_queue(name: Queue, concurrency: Concurrency, reason: Why = None, as_json: AsJson = False) -> None:
    """Limit how many calls of a queue run at once, over all workers; `none` removes the limit."""
    limit("queue", name, concurrency, reason, as_json=as_json)


def pause(kind: Kind, name: str, reason: str | None, *, as_json: bool) -> None:
    """Pause a queue or a tool."""
    from ringback.statements.operators import controls

    _act(kind, name, controls.pause(operator("default", reason), kind, name), as_json=as_json)


def resume(kind: Kind, name: str, reason: str | None, *, as_json: bool) -> None:
    """Let a queue or a tool go on."""
    from ringback.statements.operators import controls

    _act(kind, name, controls.resume(operator("default", reason), kind, name), as_json=as_json)


def limit(kind: Kind, name: str, text: str, reason: str | None, *, as_json: bool) -> None:
    """Limit a queue or a tool."""
    from ringback.history.operators import MAX_CONCURRENCY
    from ringback.statements.operators import controls

    number = None
    if text != NO_LIMIT:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CONCURRENCY):
            refuse(f"NUMBER must be a whole number from 1 to {MAX_CONCURRENCY:,}, or none, not {text!r}.")
        number = int(text)
    _act(kind, name, controls.limit(operator("default", reason), kind, name, number), as_json=as_json)


def _act(kind: Kind, name: str, statement: Any, *, as_json: bool) -> None:
    from ringback.history import operators
    from ringback.statements.operators import controls

    with writing() as write:
        if not write(controls.is_known(kind, name)):
            refuse(f"There is no {kind} {name!r}: see `ringback {kind}s list{' --live' if kind == 'tool' else ''}`.")
        (row,) = write(statement)
    row = operators.controlled(row)
    if as_json:
        return print_json(row)
    return typer.echo(_sentence(row))


def _sentence(row: ControlledRow) -> str:
    most = row.control.concurrency
    at_once = "" if most is None else f", at most {most:,} at once"
    if row.control.paused:
        return f"The {row.kind} {row.name} is paused{at_once and f' (and limited{at_once})'}."
    return f"The {row.kind} {row.name} goes on{at_once}."


def queue_rows(queues: list[LiveQueue], *, wide: bool) -> list[dict[str, Text]]:
    """Return one row for each queue; `wide`: with what is less important."""
    from rich.text import Text

    from cli.output.tables import printable

    return [
        {
            "QUEUE": Text(printable(queue.name), no_wrap=True),
            "STATE": state(paused=queue.control.paused, most=queue.control.concurrency),
            "WORKERS": Text(str(len(queue.workers)), style="" if queue.workers else "red"),
            "WAITING": Text(f"{queue.pending:,}"),
            **({"OLDEST": Text(_seconds(queue.oldest_seconds), no_wrap=True)} if wide else {}),
            "RUNNING": Text(f"{queue.running:,}/{queue.slots:,}"),
            **figure_cells(queue.figures, wide=wide),
        }
        for queue in queues
    ]


def tool_rows(tools: list[LiveTool], *, wide: bool) -> list[dict[str, Text]]:
    """Return one row for each tool that live workers serve; `wide` as for queues."""
    from rich.text import Text

    from cli.output.tables import printable

    return [
        {
            "TOOL": Text(printable(tool.name), no_wrap=True),
            "STATE": state(
                paused=tool.control.paused,
                most=tool.control.concurrency,
                is_broken=tool.breaker_open_until is not None,
            ),
            **({"QUEUE": Text(printable(tool.queue), no_wrap=True)} if wide else {}),
            "WORKERS": Text(_versions(tool.workers, len(tool.versions)), no_wrap=True),
            "RUNNING": Text(f"{tool.running:,}"),
            **figure_cells(tool.figures, wide=wide),
        }
        for tool in tools
    ]


def state(*, paused: bool, most: int | None, is_broken: bool = False) -> Any:
    """Return a cell that says whether it is paused, limited, or left alone by its breaker."""
    from rich.text import Text

    if paused:
        return Text("paused", style="red", no_wrap=True)
    if is_broken:
        return Text("breaker open", style="red", no_wrap=True)
    return Text("–" if most is None else f"at most {most:,}", style="" if most is None else "yellow", no_wrap=True)


def figure_cells(figures: Figures, *, wide: bool) -> dict[str, Any]:
    """Return the cells of a window: calls, errors, and how long calls waited and ran; p95 alone if it is not wide."""
    from rich.text import Text

    rate = figures.error_rate
    shares = ("p50", "p95", "p99") if wide else ("p95",)
    waits, runs = (
        "–" if each is None else " ".join(_ms(getattr(each, share)) for share in shares)
        for each in (figures.wait_ms, figures.run_ms)
    )
    return {
        "CALLS": Text(f"{figures.calls:,}"),
        "ERRORS": Text("–" if rate is None else f"{rate:.1%}", style="red" if rate else "", no_wrap=True),
        f"WAIT {' '.join(shares)}": Text(waits, no_wrap=True),
        f"RUN {' '.join(shares)}": Text(runs, no_wrap=True),
    }


def _versions(workers: int, versions: int) -> str:
    return str(workers) if versions <= 1 else f"{workers} ({versions} versions)"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _ms(ms: float) -> str:
    return f"{ms:.0f}ms" if ms < 1_000 else f"{ms / 1_000:.1f}s"
