"""`ringback doctor`: looks at every dependency, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output.history_queries import AsJson, listing, print_json

if TYPE_CHECKING:
    from cli.checks.check import Check

BROKEN = 1
"""The exit code if a line says `fail`; a warning is none."""
STYLES = {"ok": "green", "warn": "yellow", "fail": "red bold"}


def doctor(
    upstream: Annotated[
        bool, typer.Option("--upstream/--no-upstream", help="Try one connection to the Realtime API, or not.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check every dependency, and say what to do.

    Looks at the settings, Postgres, Redis, the Realtime API, agents' files, live processes and this machine. Exit code
    1 means that something does not work; a warning does not count.
    """
    found = []
    for check in checks(upstream=upstream):
        found.append(check)
        if not as_json:
            _print(check)
    if as_json:
        print_json(listing([check.model_dump() for check in found]))
    if any(check.status == "fail" for check in found):
        raise typer.Exit(BROKEN)


def checks(*, upstream: bool) -> Iterator[Check]:
    """Yield the line of each check, in the order in which one depends on another. Raises nothing."""
    from cli.checks import broker, database, surroundings
    from cli.checks.check import fail, looked_at
    from gateway.settings import GatewaySettings
    from ringback.config.settings import Stores, load
    from ringback.errors import ConfigurationError

    settings: Any = None
    try:
        settings = load(GatewaySettings)
        yield from looked_at("settings", lambda: surroundings.settings(settings))
    except ConfigurationError as problem:
        yield fail("settings", str(problem), "see docs/configuration.md, and .env.example")
    try:
        stores = settings or load(Stores)
    except ConfigurationError:  # the line above has said so
        stores = None
    if stores is not None:
        yield from looked_at("postgres", lambda: database.check(stores.database_url))
        yield from looked_at("redis", lambda: broker.check(stores.redis_url))
    if settings is not None:
        yield from looked_at("agents", lambda: surroundings.agents(settings))
        if upstream:
            yield from looked_at("realtime API", lambda: surroundings.upstream(settings))
    if stores is not None:
        yield from looked_at("processes", lambda: surroundings.processes(_processes(stores.database_url)))
    yield from looked_at("machine", surroundings.machine)


def _processes(url: str) -> list[Any]:
    from cli.checks.database import CONNECT_SECONDS
    from ringback.postgres.connections import connect, execute
    from ringback.statements.history import all_processes
    from ringback.tables import DEFAULT_TENANT

    with connect(url, "ringback-doctor", CONNECT_SECONDS) as connection:
        return execute(connection, all_processes(DEFAULT_TENANT)).rows


def _print(check: Check) -> None:
    from rich.text import Text

    from cli.output.tables import console, printable

    line = Text.assemble((f"{check.status:<4}", STYLES[check.status]), f"  {check.name:<17}  {printable(check.says)}")
    out = console()
    out.print(line, soft_wrap=True)
    if check.do:
        out.print(Text(f"{'':<25}→ {printable(check.do)}", style="dim"), soft_wrap=True)
