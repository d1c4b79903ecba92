"""Connections, options and refusals that the commands on the history share.

All modules but typer are imported inside functions: `ringback --help` waits for no driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from ringback.history.pagination import IdRange, Page, Query
    from ringback.postgres.connections import Connection
    from ringback.postgres.statement import Runnable

    Read = Callable[[Runnable], Sequence[Any]]
    Q = TypeVar("Q", bound=Query)
    T = TypeVar("T")

CONNECT_TIMEOUT = 5
"""Seconds. A user at a prompt wants to know by then that the database does not answer."""
SNAPSHOT = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
MAX_REASON = 200
"""Characters of a driver's message in a refusal."""
UNKNOWN_IF_DONE = (
    "The connection to the database broke before it had answered: the change may be done. Check with "
    "`ringback jobs list` or `ringback sessions list` before you repeat the command."
)
WRONG_INPUT = 2
NO_DATABASE = 1

Since = Annotated[str | None, typer.Option(help="Since a time, 2026-01-31T12:00:00Z, or 15m, 2h, 1d.", metavar="WHEN")]
Limit = Annotated[str, typer.Option(help="How many, 1 to 200.", metavar="NUMBER")]
After = Annotated[str | None, typer.Option(help="Continue after a page, with its `next`.", metavar="CURSOR")]
OfTenant = Annotated[str, typer.Option("--tenant", help="Of this tenant.", metavar="NAME")]
DEFAULT = "default"
"""The tenant if none is named, as in `ringback.tables`."""
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]


@contextmanager
def reading() -> Iterator[Read]:
    """Yield a read-only connection with one snapshot. If it fails, the command ends with one sentence."""
    with _connection() as connection, _refusing(writes=False):
        connection.execute(SNAPSHOT, prepare=False)
        yield lambda statement: _rows(connection, statement)


@contextmanager
def writing() -> Iterator[Read]:
    """Yield a connection that commits each statement."""
    with _connection() as connection, _refusing(writes=True):
        yield lambda statement: _rows(connection, statement)


@contextmanager
def _connection() -> Iterator[Connection]:
    import psycopg

    from ringback.config.database_url import database_url
    from ringback.errors import ConfigurationError
    from ringback.postgres.connections import connect

    try:
        connection = connect(database_url(), "ringback-cli", CONNECT_TIMEOUT)
    except ConfigurationError as problem:
        refuse(str(problem))
    except psycopg.Error as problem:
        refuse(f"The database in DATABASE_URL cannot be reached: {_reason(problem)}", NO_DATABASE)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _refusing(*, writes: bool) -> Iterator[None]:
    """End the command with one sentence if Postgres does not do what it is asked."""
    import psycopg

    from ringback.errors import NO_SUCH_TABLE
    from ringback.postgres.connections import is_cut

    try:
        yield
    except psycopg.OperationalError as problem:
        if writes and is_cut(problem):
            refuse(f"{UNKNOWN_IF_DONE} ({_reason(problem)})", NO_DATABASE)
        refuse(f"The database in DATABASE_URL cannot be reached: {_reason(problem)}", NO_DATABASE)
    except psycopg.Error as problem:
        if problem.sqlstate == NO_SUCH_TABLE:
            refuse("The database in DATABASE_URL has no tables of ringback's yet: run `ringback migrate`.", NO_DATABASE)
        refuse(f"The database in DATABASE_URL refuses to answer: {_reason(problem)}", NO_DATABASE)


def ask(query: type[Q], given: dict[str, Any]) -> Q:
    """Return the query with the options of the command line; invalid input ends the command."""
    from pydantic import ValidationError

    from ringback.history.pagination import refusal

    try:
        return query(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as problem:
        name, _, rest = refusal(problem.errors()).message.partition(" ")
        refuse(f"--{name.replace('_', '-')} {rest}")


def beginning(name: str, prefix: str) -> IdRange:
    """Return the range of ids that begin with this prefix."""
    from ringback.history.pagination import IdRange

    try:
        return IdRange.beginning(prefix)
    except ValueError as problem:
        refuse(f"{name} must be {problem}, not {prefix!r}.")


def only(what: str, rows: Sequence[Any], prefix: str | None) -> Any:
    """Return the one row that was found; none or several end the command."""
    if not rows:
        refuse(f"There is no {what} {prefix!r}.")
    if len(rows) > 1:
        refuse(f"{prefix!r} begins the id of more than one {what}: {', '.join(str(row.id) for row in rows)}.")
    return rows[0]


def show_page(page: Page[T], what: str, print_rows: Callable[[Console, Sequence[T]], None]) -> None:
    """Print a list to standard output; remarks go to standard error."""
    if not page.data:
        typer.echo(f"No {what} fits.", err=True)
        return
    from cli.output import tables

    print_rows(tables.console(), page.data)
    if page.has_more:
        typer.echo(f"There are more: narrow it down, raise --limit, or go on with --after {page.next}", err=True)


def print_json(document: BaseModel | dict[str, Any] | list[Any]) -> None:
    """Print one document as JSON, a model byte for byte as the API does; indented on a terminal."""
    import json
    import sys

    indent = 2 if sys.stdout.isatty() else None
    if isinstance(document, dict | list):
        return typer.echo(json.dumps(document, indent=indent, default=_as_text))
    return typer.echo(document.model_dump_json(indent=indent))


def listing(documents: Sequence[Any]) -> dict[str, Any]:
    """Return a whole list as one document."""
    return {"object": "list", "data": list(documents)}


def _as_text(value: Any) -> str:
    """Return a time as ISO 8601, and an id as its characters."""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def refuse(sentence: str, code: int = WRONG_INPUT) -> NoReturn:
    """End the command with one sentence on standard error."""
    typer.echo(f"ringback: {sentence}", err=True)
    raise typer.Exit(code)


def _rows(connection: Connection, statement: Runnable) -> Sequence[Any]:
    from ringback.postgres.connections import execute

    return execute(connection, statement).rows


def _reason(problem: Any) -> str:
    """Return the driver's message on one line. It quotes no password; a host that may be part of one is refused
    before."""
    words = " ".join(str(problem).split())
    return words if len(words) <= MAX_REASON else f"{words[:MAX_REASON]}…"
