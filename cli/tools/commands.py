"""`ringback tools`: list tools, show their schemas, call one; pause, resume or limit one.

All modules but typer are imported inside functions: `ringback --help` waits for no tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.operations import queues
from cli.operations.acting import Why
from cli.operations.queues import Window
from cli.output.history_queries import AsJson, ask, listing, print_json, reading, refuse

if TYPE_CHECKING:
    from ringback.tools.behavior import Limits
    from ringback.tools.spec import ToolSpec

app = typer.Typer(name="tools", help="List tools, call one; pause, resume or limit one.", no_args_is_help=True)

FAILED = 1
"""The exit code of a call that ended in an error."""
INTERRUPTED = 130
"""The exit code after Ctrl-C, as a shell has it."""

Name = Annotated[str, typer.Argument(help="The tool's name.")]


@app.command("list")
def list_tools(
    live: Annotated[bool, typer.Option("--live", help="List what live workers serve, from Postgres.")] = False,
    window: Window = None,
    as_json: AsJson = False,
) -> None:
    """List tools, with their queues and limits.

    Lists the tools that RINGBACK_TOOL_MODULES and RINGBACK_TOOL_FILES declare; with --live, those that gateways can
    offer now, with what runs and how the newest calls went.
    """
    from cli.tools.discovery import declared_tools

    if live:
        return _list_live(window, as_json=as_json)
    if window is not None:
        refuse("--window goes with --live: without it the tools are those of the files, which have no figures.")
    tools = [tool.announcement for _, tool in sorted(declared_tools().items())]
    if as_json:
        return print_json(listing([_document(tool) for tool in tools]))
    return _print_tools(tools)


@app.command("pause")
def pause_tool(name: Name, reason: Why = None, as_json: AsJson = False) -> None:
    """Pause a tool for all workers: no call of it begins any more. Calls wait until their deadlines."""
    queues.pause("tool", name, reason, as_json=as_json)


@app.command("resume")
def resume_tool(name: Name, reason: Why = None, as_json: AsJson = False) -> None:
    """Let a paused tool go on; what waited begins within a second. A limit stays."""
    queues.resume("tool", name, reason, as_json=as_json)


@app.command("limit")
def limit_tool(name: Name, concurrency: queues.Concurrency, reason: Why = None, as_json: AsJson = False) -> None:
    """Limit how many calls of a tool run at once, on top of its own limits; `none` removes the limit."""
    queues.limit("tool", name, concurrency, reason, as_json=as_json)


@app.command("schema")
def show_schema(name: Name) -> None:
    """Show a tool's entry in `session.tools`, which the model reads, as JSON."""
    import json

    from cli.tools.discovery import declared_tool

    typer.echo(json.dumps(declared_tool(name).announcement.for_model(), indent=2, ensure_ascii=False))


@app.command("run")
def run_tool(
    name: Name,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="As key=value; JSON for values that are no text.", metavar="KEY=VALUE"),
    ] = None,
    json_: Annotated[str | None, typer.Option("--json", help="All arguments as one JSON object.")] = None,
    user: Annotated[str, typer.Option(help="The user's name for the tool.")] = "cli",
    claims: Annotated[str | None, typer.Option(help="The user's claims, as a JSON object.")] = None,
    scopes: Annotated[
        str | None,
        typer.Option(help="The user's scopes, such as orders:read,eu; by default those that the tool requires."),
    ] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Have a worker run it, with a row in the history.")] = False,
) -> None:
    """Call a tool, and print what the model would read.

    Runs the tool once in this process; with --queue a worker runs it, like every call. Exit code 1 means that the call
    ended in an error.
    """
    from cli.tools import argument_parser as given
    from ringback.errors import ConfigurationError

    if not user.strip():
        raise ConfigurationError("--user must not be empty: the name stands in the history")
    known = given.json_object("--claims", claims) if claims is not None else {}
    if scopes is not None:
        known["scopes"] = sorted({scope.strip() for scope in scopes.split(",") if scope.strip()})
    if queue:
        return _run_there(name, arguments or [], json_, user, known)
    return _run_here(name, arguments or [], json_, user, known)


def _run_here(name: str, words: list[str], text: str | None, user: str, claims: dict[str, Any]) -> None:
    import asyncio
    from datetime import UTC, datetime, timedelta
    from time import monotonic
    from uuid import uuid4

    from cli.tools import argument_parser as given
    from cli.tools import run_inline
    from cli.tools.discovery import declared_tool
    from ringback.tools.call import Call

    tool = declared_tool(name)
    arguments = given.arguments(tool.announcement, words, text)
    claims.setdefault("scopes", sorted(tool.announcement.behavior.scopes))
    deadline = datetime.now(UTC) + timedelta(seconds=tool.announcement.timeout)
    call = Call(job_id=str(uuid4()), user=user, claims=claims, arguments=arguments, deadline=deadline, _report=_note)
    began = monotonic()
    try:
        made = asyncio.run(run_inline.attempt(tool, arguments, call))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    took, limit = monotonic() - began, tool.announcement.timeout
    if took > limit and not tool.is_async:  # here it cannot be abandoned, and has run to its end
        typer.echo(f"ringback: {name} took {took:.1f} s; a worker stops waiting after {limit:g} s", err=True)
    if made.fault is not None:
        typer.echo(f"ringback: {name} raised {_where(made.fault)}", err=True)
    _print_outcome(made.verdict)


def _run_there(name: str, words: list[str], text: str | None, user: str, claims: dict[str, Any]) -> None:
    from cli.tools import argument_parser as given
    from cli.tools.run_queued import run_there
    from ringback.errors import ConfigurationError

    rows = {row.name: row for row in _live_rows()}
    if name not in rows:
        known = ", ".join(rows) or "none"
        raise ConfigurationError(f"no live worker serves a tool {name!r}; the tools that are served: {known}")
    tool = _announced(rows[name])
    arguments = given.arguments(tool, words, text)
    claims.setdefault("scopes", sorted(tool.behavior.scopes))
    job_id, outcome = run_there(tool, arguments, user=user, claims=claims, note=_note)
    typer.echo(f"job {job_id}: {outcome.state if outcome else 'cancelled, as this command has ended'}", err=True)
    if outcome is None:
        raise typer.Exit(FAILED)
    _print_outcome(outcome)


def _list_live(window: str | None, *, as_json: bool) -> None:
    from cli.output import tables
    from ringback.history import operators
    from ringback.history.operators import FiguresQuery
    from ringback.statements.operators import figures
    from ringback.tables import DEFAULT_TENANT

    query = ask(FiguresQuery, {"window": window})
    with reading() as read:
        listing = operators.live_tools(read(figures.live_tools_of(DEFAULT_TENANT, query.length)))
    if as_json:
        return print_json(listing)
    if not listing.data:
        typer.echo("No live worker serves any tool.", err=True)
    out = tables.console()
    return tables.print_rows(out, queues.tool_rows(listing.data, wide=out.width >= tables.WIDE))


def _live_rows() -> list[Any]:
    from ringback.statements import history as statements

    with reading() as read:
        return list(read(statements.served_tools()))


def _announced(row: Any) -> ToolSpec:
    from ringback.statements import processes

    return processes.spec_from_row(row)


def _note(note: str) -> None:
    typer.echo(f"… {note}", err=True)


def _print_outcome(outcome: Any) -> None:
    """Print a result to standard output; an error, with its code, to standard error."""
    if outcome.error is None:
        return typer.echo(outcome.output())
    typer.echo(f"ringback: {outcome.code}: {outcome.message}", err=True)
    raise typer.Exit(FAILED)


def _where(problem: Exception) -> str:
    """Return an exception on one line, with the place where it was raised."""
    import traceback

    frames = traceback.extract_tb(problem.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{' '.join(f'{type(problem).__name__}: {problem}'.split())}{place}"


def _document(tool: ToolSpec) -> dict[str, Any]:
    """Return a declared tool as `GET /v1/tools` has a served one, but for the number of workers."""
    plain = ("name", "description", "parameters", "queue", "timeout", "retries", "effect", "version")
    return {
        "object": "tool",
        **{name: getattr(tool, name) for name in plain},
        "manners": tool.behavior.as_data(),
        "limits": tool.limits.as_data(),
    }


def _print_tools(tools: Sequence[ToolSpec]) -> None:
    """Print one line for each tool."""
    from rich.text import Text

    from cli.output.tables import console, print_rows, printable

    rows = [
        {
            "TOOL": Text(printable(tool.name), no_wrap=True),
            "QUEUE": Text(tool.queue, no_wrap=True),
            "EFFECT": Text(tool.effect, no_wrap=True),
            "TIMEOUT": Text(f"{tool.timeout:g} s", no_wrap=True),
            "RETRIES": Text(str(tool.retries)),
            "LIMITS": Text(limits_in_words(tool.limits) or "–"),
        }
        for tool in tools
    ]
    print_rows(console(), rows)


def limits_in_words(limits: Limits) -> str:
    """Return a tool's limits as its author wrote them; empty without limits."""
    words = []
    if limits.concurrency is not None:
        words.append(f"{limits.concurrency} at once")
    if limits.rate is not None:
        words.append(rate_in_words(limits.rate) + (f", {limits.burst} in a burst" if limits.burst > 1 else ""))
    if limits.breaker_failures is not None:
        words.append(f"not called for {limits.breaker_seconds:g} s after {limits.breaker_failures} failures")
    return "; ".join(words)


def rate_in_words(rate: float) -> str:
    """Return the rate in the shortest unit that gives a whole number."""
    for unit, seconds in (("s", 1), ("m", 60), ("h", 3_600)):
        calls = rate * seconds
        if calls >= 1 and abs(calls - round(calls)) < 1e-6:
            return f"{round(calls)}/{unit}"
    return f"{rate:g}/s"
