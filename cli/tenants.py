"""`ringback tenants`: the limits of tenants, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli.operations.acting import Why, operator
from cli.output.history_queries import AsJson, print_json, reading, refuse, writing
from cli.tokens import named

app = typer.Typer(name="tenants", help="Show and set the limits of tenants.", no_args_is_help=True)

DEFAULT, UNLIMITED = "default", "none"
MAX_RETENTION_DAYS = 36_500
LIMITS = {
    "sessions": "SESSIONS",
    "sessions_per_user": "A USER'S",
    "tokens_per_day": "TOKENS A DAY",
    "tokens_per_user_per_day": "A USER'S ",
    "cost_per_day": "DOLLARS A DAY",
    "cost_per_user_per_day": "A USER'S  ",
}

Name = Annotated[str, typer.Argument(help="The tenant's name.", metavar="TENANT")]


def _limit(what: str) -> Any:
    return typer.Option(help=f"{what}; a number, none, or default.", metavar="LIMIT")


@app.command("list")
def list_tenants(as_json: AsJson = False) -> None:
    """List the tenants that have their own limits, or an API key.

    A dash means that the gateways' settings apply.
    """
    from ringback.statements.identity import tenants

    with reading() as read:
        rows = read(tenants.all_tenants())
    if as_json:
        return print_json([_told(row) for row in rows])
    if not rows:
        typer.echo("No tenant has its own limits. Set some with `ringback tenants set`.", err=True)
        return None
    return _print(rows)


@app.command("show")
def show_tenant(tenant: Name, as_json: AsJson = False) -> None:
    """Show the limits of one tenant, and how long its sessions are kept."""
    from ringback.statements.identity import tenants

    name = named("TENANT", tenant)
    with reading() as read:
        rows = read(tenants.one_tenant(name))
    if not rows:
        refuse(f"The tenant {name!r} has no limits of its own: the gateways' settings hold for it.")
    if as_json:
        return print_json(_told(rows[0]))
    return _print(rows)


@app.command("set")
def set_tenant(
    tenant: Name,
    sessions: Annotated[str | None, _limit("Sessions of the tenant at once")] = None,
    sessions_per_user: Annotated[str | None, _limit("Sessions of each of its users at once")] = None,
    tokens_per_day: Annotated[str | None, _limit("Tokens of the tenant on one day of UTC")] = None,
    tokens_per_user_per_day: Annotated[str | None, _limit("Tokens of each of its users")] = None,
    cost_per_day: Annotated[str | None, _limit("US dollars of the tenant on one day of UTC")] = None,
    cost_per_user_per_day: Annotated[str | None, _limit("US dollars of each of its users")] = None,
    retention_days: Annotated[
        str | None, typer.Option(help="For how many days ended sessions are kept; or default.", metavar="DAYS")
    ] = None,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Set limits of one tenant; limits that are not given stay unchanged.

    Gateways apply them within seconds. `none` means no limit, `default` the gateways' settings.
    """
    from ringback.statements import access
    from ringback.statements.identity import tenants

    name = named("TENANT", tenant)
    given = {key: value for key, value in locals().items() if key in LIMITS and value is not None}
    if not given and retention_days is None:
        refuse("Give at least one limit, such as --sessions-per-user 20. See `ringback tenants set --help`.")
    limits = _allowances({key: value for key, value in given.items() if value != DEFAULT})
    kept_for = _days(retention_days) if retention_days is not None else None
    who = operator(name, reason)
    with writing() as write:
        if given:
            write(access.limit_tenant(who, limits, set(given) - set(limits)))
        if retention_days is not None:
            write(access.retain_tenant(who, kept_for))
        (row,) = write(tenants.one_tenant(name))
    if as_json:
        return print_json(_told(row))
    return _print([row])


def _allowances(given: dict[str, str]) -> dict[str, Any]:
    """Return the limits as `tenants.allowances` stores them; an invalid one ends the command."""
    from pydantic import ValidationError

    from ringback.agents.quotas import MOST_DOLLARS, MOST_SESSIONS, MOST_TOKENS, Quotas

    limits = {key: None if value == UNLIMITED else value for key, value in given.items()}
    try:
        return Quotas.model_validate(limits).model_dump(mode="json", exclude_unset=True)
    except ValidationError as problem:
        key = str(problem.errors()[0]["loc"][0])
        what = key.partition("_")[0]
        most = {"sessions": MOST_SESSIONS, "tokens": MOST_TOKENS, "cost": MOST_DOLLARS}[what]
        kind = "an amount such as 2.50" if what == "cost" else "a whole number"
        refuse(f"--{key.replace('_', '-')} must be {kind}, at most {most:,}, or none, or default, not {given[key]!r}.")


def _days(text: str) -> int | None:
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_RETENTION_DAYS):
        refuse(f"--retention-days must be a whole number up to {MAX_RETENTION_DAYS}, or default, not {text!r}.")
    return int(text)


def _told(row: Any) -> dict[str, Any]:
    return {"tenant": row.tenant, "allowances": row.allowances or {}, "retention_days": row.retention_days}


def _print(rows: Sequence[Any]) -> None:
    from rich.text import Text

    from cli.output import tables

    def cell(allowances: dict[str, Any], key: str) -> Text:
        text = "–" if key not in allowances else UNLIMITED if allowances[key] is None else f"{allowances[key]:,}"
        return Text(text, no_wrap=True)

    tables.print_rows(
        tables.console(),
        [
            {
                "TENANT": Text(tables.printable(row.tenant)),
                **{title: cell(row.allowances or {}, key) for key, title in LIMITS.items()},
                "KEPT FOR": Text("–" if row.retention_days is None else f"{row.retention_days:,} days", no_wrap=True),
            }
            for row in rows
        ],
    )
