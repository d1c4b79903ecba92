"""`ringback usage`: the usage of responses, from Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output.history_queries import After, AsJson, Limit, ask, print_json, reading, refuse
from cli.tokens import named

if TYPE_CHECKING:
    from rich.text import Text

    from ringback.usage.report import Sums, UsagePage

By = Annotated[str, typer.Option("--group-by", "--by", help="Sum up by day, user, agent or model.", metavar="WHAT")]
Day = Annotated[
    str | None, typer.Option("--from", help="From this day on; by default the last 30 days.", metavar="YYYY-MM-DD")
]
Tenant = Annotated[str, typer.Option(help="Of this tenant.", metavar="NAME")]
LastDay = Annotated[str | None, typer.Option("--to", help="Up to this day; by default today.", metavar="YYYY-MM-DD")]


def usage(
    by: By = "day",
    since: Day = None,
    to: LastDay = None,
    tenant: Tenant = "default",
    limit: Limit = "50",
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """Show usage: responses, tokens and US dollars.

    Days are in UTC. The dollars are by the gateways' price table.
    """
    from ringback.statements import usage as statements
    from ringback.usage import report as usage
    from ringback.usage.report import UsageQuery

    owner = named("--tenant", tenant)
    query = ask(UsageQuery, {"from": since, "to": to, "group_by": by, "limit": limit, "after": after})
    if (problem := query.why_not()) is not None:
        refuse(f"--{problem[1]}")
    with reading() as read:
        page = usage.page(query, read(statements.groups(owner, query)))
    if as_json:
        return print_json(page)
    return _print(page)


def _print(page: UsagePage) -> None:
    from rich.text import Text

    from cli.output import tables

    if not page.data:
        typer.echo(f"There was no usage from {page.from_} to {page.to}.", err=True)
        return
    rows = [
        {page.group_by.upper(): Text(tables.printable(group.key or "(erased)")), **_cells(group)} for group in page.data
    ]
    total = {page.group_by.upper(): Text("all together", style="bold"), **_cells(page.total)}
    tables.print_rows(tables.console(), [*rows, total])
    if page.has_more:
        typer.echo(f"There are more: raise --limit, or go on with --after {page.next}", err=True)


def _cells(sums: Sums) -> dict[str, Text]:
    from rich.text import Text

    told = {
        "RESPONSES": f"{sums.responses:,}",
        "TOKENS IN": f"{sums.input_tokens:,}",
        "TOKENS OUT": f"{sums.output_tokens:,}",
        "US DOLLARS": f"{sums.cost:,.4f}",
    }
    return {name: Text(text, no_wrap=True) for name, text in told.items()}
