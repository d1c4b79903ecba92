"""Bring a database to a revision. The one module here that opens a connection: it is a tool's engine, not a room's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import NullPool

from ringback.errors import ConfigurationError

CONNECT_TIMEOUT = 10
"""Seconds. A database that does not answer by then is named in an error instead of waited for."""


def migrations_folder() -> Path:
    """Inside the wheel the folder lies in this package; in a checkout it lies beside it."""
    here = Path(__file__).parent
    for folder in (here / "migrations", here.parent / "migrations"):
        if (folder / "env.py").is_file():
            return folder
    raise ConfigurationError(f"the migrations are missing beside {here}; install ringback again.")


def upgrade(database_url: str, revision: str = "head") -> None:
    """Upgrade `database_url` (`postgresql+psycopg://…`) to `revision`."""
    _run(database_url, lambda config: command.upgrade(config, revision))


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
    engine = create_engine(
        make_url(database_url),
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",  # each step of a revision says itself what is one transaction
        connect_args={"connect_timeout": CONNECT_TIMEOUT},
    )
    with engine.connect() as connection:
        work(config_for(connection))
        connection.commit()
    engine.dispose()
