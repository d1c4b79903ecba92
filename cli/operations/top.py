"""`ringback top`: a live screen of sessions, queues, tools and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic, sleep
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
GLANCE_SECONDS = 0.2
"""Between two looks at the terminal itself: another size is drawn at once."""


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
    """Watch sessions, queues, tools and workers live, until q or Ctrl-C.

    Where the output is no terminal, and with --json, it prints one screen and ends.
    """
    import sys

    if every < LEAST_SECONDS:
        refuse(f"--every must be {LEAST_SECONDS:g} seconds or more: each look asks the database.")
    if as_json:
        return _print_json(seen())
    from cli.output import tables

    out = tables.console()

    def shown(screen: Screen, trouble: str = "") -> Any:
        return drawn(screen, wide=out.width >= tables.WIDE, trouble=trouble)

    if once or not sys.stdout.isatty():
        return out.print(shown(seen()))
    return _watch(out, shown, every)


def _watch(out: Any, shown: Callable[[Screen, str], Any], every: float) -> None:
    """Draw the screen anew until the user has enough of it; the terminal is then as it was before."""
    from contextlib import suppress

    from rich.live import Live

    screen = seen()
    with (
        suppress(KeyboardInterrupt),
        _keys() as key,
        Live(shown(screen, ""), console=out, screen=True, auto_refresh=False) as live,
    ):
        while True:
            until, size = monotonic() + every, out.size
            while (left := until - monotonic()) > 0 and out.size == size:
                if key(min(left, GLANCE_SECONDS)) in ("q", "Q"):
                    return
            trouble = ""
            if out.size == size:
                screen, trouble = _seen_again(screen)
            live.update(shown(screen, trouble), refresh=True)


def _seen_again(last: Screen) -> tuple[Screen, str]:
    """Look once; if Postgres does not answer, return the last screen, and the sentence that says so."""
    import io
    from contextlib import redirect_stderr

    said = io.StringIO()
    try:
        with redirect_stderr(said):  # it would be written into the screen, and be gone with it
            return seen(), ""
    except typer.Exit:
        return last, said.getvalue().strip()


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Yield a function that waits so many seconds for a key, and returns it; "" if none was pressed."""
    import os
    import select
    import sys
    import termios
    import tty

    if not sys.stdin.isatty():
        yield lambda seconds: sleep(seconds) or ""  # type: ignore[func-returns-value]
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def key(seconds: float) -> str:
        ready, _, _ = select.select([terminal], [], [], seconds)
        return os.read(terminal, 1).decode(errors="ignore") if ready else ""

    try:
        tty.setcbreak(terminal)
        yield key
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


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


def drawn(screen: Screen, *, wide: bool, trouble: str = "") -> Any:
    """Return the screen as rich draws it.

    Args:
        wide: with what is less important.
        trouble: why it is an old one.
    """
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
    notes = [Text(f"{trouble} Trying again.", style="red")] if trouble else []
    if not any(lists):
        notes.append(Text("No worker is alive, and no call was made lately: start one with `ringback worker`.", "dim"))
    return Group(head, *notes, *(part for rows in lists if rows for part in (Text(), table_of(rows))))


def _print_json(screen: Screen) -> None:
    import json

    lists = {
        name: [each.model_dump(mode="json") for each in getattr(screen, name)]
        for name in ("queues", "tools", "processes")
    }
    at, rate = screen.at.isoformat(), round(screen.calls_a_second, 3)
    typer.echo(json.dumps({"at": at, "sessions": screen.sessions, "calls_a_second": rate, **lists}))
