"""`ringback top`: a live screen of sessions, queues, tools and workers."""

from __future__ import annotations

from datetime import timedelta
from time import sleep
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.output.history_queries import AsJson, reading, refuse

if TYPE_CHECKING:
    from ringback.history.operators import LiveQueue, LiveTool
    from ringback.history.serving import Process

WINDOW = timedelta(minutes=1)
"""Of the figures: a screen shows what happens now."""
EVERY_SECONDS = 2.0
LEAST_SECONDS = 0.5


class Screen(NamedTuple):
    """What is on the screen, as it stood at one moment."""

    at: Any
    sessions: dict[str, int]
    queues: list[LiveQueue]
    tools: list[LiveTool]
    processes: list[Process]

    @property
    def calls_a_second(self) -> float:
        """Return how many calls were made in a second of the window."""
        return sum(queue.figures.calls for queue in self.queues) / WINDOW.total_seconds()


def top(
    every: Annotated[float, typer.Option(help="Seconds between two looks.", metavar="SECONDS")] = EVERY_SECONDS,
    once: Annotated[bool, typer.Option("--once", help="Print one screen, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch sessions, queues, tools and workers live, until Ctrl-C.

    Where the output is no terminal, and with --json, it prints one screen and ends.
    """
    import sys

    if every < LEAST_SECONDS:
        refuse(f"--every must be {LEAST_SECONDS:g} seconds or more: each look asks the database.")
    if as_json:
        return _print_json(seen())
    from cli.output import tables

    out = tables.console()

    def screen() -> Any:
        return drawn(seen(), wide=out.width >= tables.WIDE)

    if once or not sys.stdout.isatty():
        return out.print(screen())
    from rich.live import Live

    try:
        with Live(screen(), console=out, screen=True, auto_refresh=False) as live:
            while True:
                sleep(every)
                live.update(screen(), refresh=True)
    except KeyboardInterrupt:
        return None


def seen() -> Screen:
    """Look once at all of it, in one snapshot."""
    from datetime import UTC, datetime

    from ringback.history import operators, serving
    from ringback.statements import history as statements
    from ringback.statements.operators import figures
    from ringback.tables import DEFAULT_TENANT

    with reading() as read:
        sessions = {row.state: row.number for row in read(figures.live_sessions())}
        queues = operators.live_queues(read(figures.live_queues(WINDOW))).data
        tools = operators.live_tools(read(figures.live_tools_of(DEFAULT_TENANT, WINDOW))).data
        processes = serving.processes(read(statements.all_processes(DEFAULT_TENANT))).data
    return Screen(datetime.now(UTC), sessions, queues, tools, [each for each in processes if each.alive])


def drawn(screen: Screen, *, wide: bool) -> Any:
    """Return the screen as rich draws it; `wide`: with what is less important."""
    from rich.console import Group
    from rich.text import Text

    from cli.operations.queues import queue_rows, tool_rows
    from cli.operations.workers import process_rows
    from cli.output.tables import table_of

    sessions = ", ".join(f"{number:,} {state}" for state, number in sorted(screen.sessions.items())) or "none"
    running = sum(queue.running for queue in screen.queues)
    waiting = sum(queue.pending for queue in screen.queues)
    head = Text.assemble(
        ("ringback ", "bold"),
        (f"{screen.at:%H:%M:%S} UTC", "dim"),
        f"   sessions: {sessions}   calls: {screen.calls_a_second:.1f}/s, {waiting:,} waiting, {running:,} running",
    )
    lists = (
        queue_rows(screen.queues, wide=wide),
        tool_rows(screen.tools, wide=wide),
        process_rows(screen.processes, wide=wide),
    )
    return Group(head, *(part for rows in lists if rows for part in (Text(), table_of(rows))))


def _print_json(screen: Screen) -> None:
    import json

    lists = {
        name: [each.model_dump(mode="json") for each in getattr(screen, name)]
        for name in ("queues", "tools", "processes")
    }
    at, rate = screen.at.isoformat(), round(screen.calls_a_second, 3)
    typer.echo(json.dumps({"at": at, "sessions": screen.sessions, "calls_a_second": rate, **lists}))
