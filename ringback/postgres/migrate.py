"""Bring a database to a revision. The one module here that opens a connection: it is a tool's engine, not a room's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select
from sqlalchemy.pool import NullPool

from ringback.errors import ConfigurationError
from ringback.postgres.connections import ENCODING, open_engine, refuse_encoding

CONNECT_TIMEOUT = 10
"""Seconds. A database that does not answer by then is named in an error instead of waited for."""
ADVISORY_LOCK = 0x72696E67
TURN_SECONDS = 0.2
"""Between two looks at whether another process still migrates."""


def migrations_folder() -> Path:
    """Inside the wheel the folder lies in this package; in a checkout it lies beside it."""
    here = Path(__file__).parents[1]
    for folder in (here / "migrations", here.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError(f"the migrations are missing beside {here}; install ringback again.")


def upgrade(database_url: str, revision: str = "head") -> None:
    """Upgrade `database_url` (`postgresql+psycopg://…`) to `revision`."""
    _run(database_url, lambda config: _upgrade(config, revision))


def downgrade(database_url: str, revision: str = "base") -> None:
    """Downgrade to `revision`; "base" takes every table away, with all that is in them."""
    _run(database_url, lambda config: command.downgrade(config, revision))


def revision(database_url: str) -> str | None:
    """The revision that the database is at; None where it was never migrated, or all the way down."""
    found: list[str | None] = []
    _run(database_url, lambda config: found.append(_revision(config.attributes["connection"])))
    return found[0]


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def config_for(connection: Connection) -> Config:
    """Alembic's configuration for an open connection; `%` in a path is Alembic's own escape."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _run(database_url: str, work: Callable[[Config], None]) -> None:
    # Each step of a revision says itself what is one transaction.
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}
    engine = open_engine(database_url, "ringback-migrate", CONNECT_TIMEOUT, **options)
    with engine.connect() as waiting, _turn(waiting), engine.connect() as connection:
        work(config_for(connection))
        connection.commit()
    engine.dispose()


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    """Two processes that migrate at once take turns.

    A transaction of its own holds the turn: the migration commits more than once, and a pooler may give each of its
    transactions another server process. The lock is not waited for in a statement, whose snapshot would hold up an
    index that the other process builds.
    """
    connection.execution_options(isolation_level="READ COMMITTED")
    refuse_encoding(connection.execute(ENCODING).scalar_one())
    while not connection.execute(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))).scalar_one():
        connection.rollback()  # or it would keep a pooler's connection from the process that it waits for
        sleep(TURN_SECONDS)
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    yield
    connection.rollback()


def _refuse_without_rights(connection: Connection) -> None:
    """Raise ConfigurationError where the database's user may not make a table; since 15, PostgreSQL lets none."""
    names = "quote_ident(current_schema()), quote_ident(current_user)"
    asked = f"SELECT {names}, has_schema_privilege(current_schema(), 'CREATE')"
    schema, user, may_create = connection.exec_driver_sql(asked).one()
    connection.commit()
    if schema is None:
        raise ConfigurationError("DATABASE_URL has a search_path that names no schema: have it made with CREATE SCHEMA")
    if not may_create:
        raise ConfigurationError(
            f"the user of DATABASE_URL may make no table in the schema {schema}: have an administrator run "
            f"`GRANT CREATE ON SCHEMA {schema} TO {user}` there"
        )


def _upgrade(config: Config, revision: str) -> None:
    _refuse_without_rights(config.attributes["connection"])
    command.upgrade(config, revision)
