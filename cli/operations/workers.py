"""`ringback workers`: gateways and workers, and what each serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output.history_queries import AsJson, print_json, reading

if TYPE_CHECKING:
    from rich.text import Text

    from ringback.history.serving import Process


def workers(
    all_: Annotated[bool, typer.Option("--all", help="Also those that ended in the last hour.")] = False,
    as_json: AsJson = False,
) -> None:
    """List gateways and workers: what each serves, in which version, and how much it runs."""
    from cli.output import tables
    from ringback.history import serving
    from ringback.statements import history as statements
    from ringback.tables import DEFAULT_TENANT

    with reading() as read:
        listing = serving.processes(read(statements.all_processes(DEFAULT_TENANT)))
    if not all_:
        listing = listing.model_copy(update={"data": [process for process in listing.data if process.alive]})
    if as_json:
        return print_json(listing)
    if not listing.data:
        return typer.echo("No gateway and no worker lives.", err=True)
    out = tables.console()
    return tables.print_rows(out, process_rows(listing.data, wide=out.width >= tables.WIDE))


def process_rows(processes: list[Process], *, wide: bool) -> list[dict[str, Text]]:
    """Return one row for each process; `wide`: with its start."""
    from rich.text import Text

    from cli.output.tables import printable

    return [
        {
            "ID": Text(printable(process.id), no_wrap=True),
            "KIND": Text(process.kind, no_wrap=True),
            "ALIVE": Text("yes" if process.alive else "no", style="green" if process.alive else "red"),
            **({"STARTED (UTC)": Text(f"{process.started_at:%Y-%m-%d %H:%M:%S}", no_wrap=True)} if wide else {}),
            "RUNNING": Text(f"{process.running:,}/{process.slots:,}" if process.kind == "worker" else ""),
            "QUEUES": Text(printable(", ".join(process.queues))),
            "TOOLS": Text(printable(", ".join(f"{tool.name} {tool.version[:6]}" for tool in process.tools))),
        }
        for process in processes
    ]
