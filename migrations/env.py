"""Alembic's entry: `ringback.postgres.migrate` passes a connection, so that no file is read."""

from __future__ import annotations

from alembic import context

from ringback.tables import metadata


def run() -> None:
    given = context.config.attributes
    applied = given.get("applied")

    def on_version_apply(*_: object, **__: object) -> None:
        if applied is not None:
            applied()

    context.configure(
        connection=given["connection"],
        target_metadata=metadata,
        on_version_apply=on_version_apply,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
