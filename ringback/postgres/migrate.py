"""Migration of a database to a revision. The one module of `ringback` that opens a connection, for the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select, text
from sqlalchemy.pool import NullPool

from ringback.errors import ConfigurationError
from ringback.postgres.connections import ENCODING, open_engine, refuse_encoding

Applied: TypeAlias = Callable[[], object]
"""Called once a revision is applied."""

CONNECT_TIMEOUT = 10
"""Seconds. If the database does not reply by then, the error names it."""
ADVISORY_LOCK = 0x72696E67
TURN_SECONDS = 0.2
"""Interval at which a process looks whether another still migrates."""


def migrations_folder() -> Path:
    """Return the folder of the migrations: inside this package in the wheel, beside it in a checkout."""
    here = Path(__file__).parents[1]
    for folder in (here / "migrations", here.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError(f"the migrations are missing beside {here}; install ringback again.")


def upgrade(database_url: str, revision: str = "head", applied: Applied | None = None) -> None:
    """Upgrade `database_url` (`postgresql+psycopg://…`) to `revision`. `applied` is called after each revision."""
    _run(database_url, lambda config: _upgrade(config, revision, applied))


def downgrade(database_url: str, revision: str = "base") -> None:
    """Downgrade to `revision`; "base" drops every table with all its rows."""
    _run(database_url, lambda config: command.downgrade(config, revision))


def revision(database_url: str) -> str | None:
    """Return the revision of the database; None if it was never migrated, or downgraded to "base"."""
    found: list[str | None] = []
    _run(database_url, lambda config: found.append(_revision(config.attributes["connection"])))
    return found[0]


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def config_for(connection: Connection) -> Config:
    """Return Alembic's configuration for an open connection; `%` in a path is Alembic's escape."""
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
    """Wait for the turn to migrate, and hold it: two processes that migrate at once take turns.

    A transaction of its own holds the turn: the migration commits more than once, and a pooler may give each of its
    transactions another server process. The process polls for the lock: a statement that waited for it would hold a
    snapshot, and with it up an index that the other process builds.
    """
    connection.execution_options(isolation_level="READ COMMITTED")
    refuse_encoding(connection.execute(text(ENCODING.decode())).scalar_one())
    while not connection.execute(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK))).scalar_one():
        connection.rollback()  # or it would keep a pooler's connection from the process that it waits for
        sleep(TURN_SECONDS)
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
    yield
    connection.rollback()


def _refuse_without_rights(connection: Connection) -> None:
    """Raise ConfigurationError if the database's user may not create a table. Since 15, PostgreSQL grants that to no
    user.
    """
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


def _upgrade(config: Config, revision: str, applied: Applied | None) -> None:
    _refuse_without_rights(config.attributes["connection"])
    config.attributes["applied"] = applied
    command.upgrade(config, revision)
