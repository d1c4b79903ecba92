"""`ringback audit`: what operators did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output.history_queries import DEFAULT, AsJson, Limit, OfTenant, Since, ask, print_json, reading

if TYPE_CHECKING:
    from rich.console import Console

    from ringback.history.operators import RecordedAct


def audit(
    act: Annotated[str | None, typer.Option(help="Of this kind, such as queue.pause.", metavar="ACT")] = None,
    since: Since = None,
    limit: Limit = "50",
    after: Annotated[str | None, typer.Option(help="Continue after a page, with its `next`.", metavar="ID")] = None,
    tenant: OfTenant = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List what operators did, newest first: who, when, to what, and why. An act is kept for 400 days."""
    from cli.output import tables
    from ringback.history import operators
    from ringback.history.operators import AuditQuery
    from ringback.statements.operators import audit as statements

    query = ask(AuditQuery, {"act": act, "since": since, "limit": limit, "after": after})
    with reading() as read:
        page = operators.page_of_acts(read(statements.page_of_acts(tenant, query)), query.limit)
    if as_json:
        return print_json(page)
    if not page.data:
        return typer.echo("No act fits.", err=True)
    print_acts(tables.console(), page.data)
    if page.has_more:
        typer.echo(f"There are more: raise --limit, or go on with --after {page.next}", err=True)
    return None


def print_acts(out: Console, acts: list[RecordedAct]) -> None:
    """Print one line for each act."""
    import json

    from rich.text import Text

    from cli.output.tables import WIDE, print_rows, printable

    rows = [
        {
            "AT (UTC)": Text(f"{act.at:%Y-%m-%d %H:%M:%S}", no_wrap=True),
            "ACT": Text(act.act, no_wrap=True),
            "TO": Text(printable(act.target or (json.dumps(act.filter) if act.filter else "(erased)"))),
            "ROWS": Text(f"{act.rows:,}"),
            "BY": Text(printable(act.subject or "(erased)")),
            **({"WITH": Text(printable(act.credential))} if out.width >= WIDE else {}),
            "WHY": Text(printable(act.reason or "")),
        }
        for act in acts
    ]
    print_rows(out, rows)
