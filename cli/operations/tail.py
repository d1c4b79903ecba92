"""`ringback jobs tail`: each step of the calls, as it is written.

A step is a row of `job_events`. Their ids come from one sequence, but a long transaction may commit a small id late: so
each look reads a few before the last one too, and remembers which it has shown.
"""

from __future__ import annotations

import gc
from collections import deque
from time import sleep
from typing import TYPE_CHECKING, Any

import typer

from cli.operations.acting import of_session
from cli.output.history_queries import ask, writing

if TYPE_CHECKING:
    from rich.text import Text

LOOK_SECONDS = 0.5
"""Between two looks: a user sees no difference to "at once", and a look reads the few newest rows."""


def follow(tenant: str, session: str | None, given: dict[str, Any], *, as_json: bool) -> None:
    """Print the steps of the calls that fit, until Ctrl-C."""
    from ringback.history.pagination import JobQuery
    from ringback.statements.operators import steps

    gc.freeze()  # what it began with; from here on it runs for long, and collects what each look leaves
    gc.enable()
    query = of_session(tenant, session, ask(JobQuery, given))
    shown: deque[int] = deque(maxlen=2 * (steps.AT_ONCE + steps.OVERLAP))
    try:
        with writing() as read:
            ((last,),) = read(steps.last())
            first = last
            typer.echo("Following the calls; Ctrl-C ends it.", err=True)
            while True:
                found = read(steps.since(tenant, query, last))
                for row in found:
                    if row.event > first and row.event not in shown:
                        shown.append(row.event)
                        _print(row, as_json=as_json)
                last = max([last, *(row.event for row in found)])
                if len(found) < steps.AT_ONCE + steps.OVERLAP:
                    sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # `ringback jobs tail | head`
        raise typer.Exit from None


def _print(row: Any, *, as_json: bool) -> None:
    import sys

    if as_json:
        from ringback.history.operators import followed_step

        print(followed_step(row).model_dump_json(), flush=True)
        return
    from cli.output import tables

    tables.console().print(_line(row), soft_wrap=True)
    sys.stdout.flush()


def _line(row: Any) -> Text:
    from rich.text import Text

    from cli.output import tables

    notes = [
        f"attempt {row.attempt}" if row.state == "running" else "",
        f"on {row.worker_id}" if row.state == "running" and row.worker_id else "",
        f"approval {row.approval}" if row.approval else "",
        row.error.get("code", "") if row.error and row.state != "running" else "",
        f"rerun of {str(row.rerun_of)[: tables.SHORT_ID]}" if row.rerun_of else "",
        row.summary or "",
    ]
    delivery = "" if row.delivery == "none" else row.delivery
    return Text.assemble(
        (f"{row.at:%H:%M:%S}.{row.at.microsecond // 1000:03}  ", "dim"),
        f"{str(row.id)[: tables.SHORT_ID]}  ",
        (f"{tables.printable(row.tool)}  ", "bold"),
        (f"{row.state} ", tables.STYLES.get(row.state, "")),
        (delivery, tables.STYLES.get(delivery, "")),
        (tables.printable("  ".join(["", *filter(None, notes)])).replace("\n", "\\n"), "dim"),
    )
