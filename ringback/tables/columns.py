"""Columns and names that every table shares."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Column, DateTime, MetaData, Text, text

DEFAULT_TENANT = "default"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def one_of(column: str, values: Iterable[str]) -> str:
    """Return the condition of a CHECK: one constant, as Postgres reads a table's CHECKs anew in each statement."""
    return f"{column} = ANY ('{{{','.join(values)}}}')"


def internal(why: str) -> dict[str, str]:
    """Return the `info` of a column of `sessions` or `jobs` that the history API does not show, and why.

    A column without it is a field of `ringback.history.documents`.
    """
    return {"internal": why}


def tenant() -> Column[str]:
    owner = internal("the owner: a caller sees their own tenant's rows alone")
    return Column("tenant", Text, nullable=False, server_default=DEFAULT_TENANT, info=owner)


def tenant_key() -> Column[str]:
    return Column("tenant", Text, primary_key=True, server_default=DEFAULT_TENANT)


def time(name: str, *, nullable: bool = True, now: bool = False, info: dict[str, str] | None = None) -> Column[object]:
    default = text("clock_timestamp()") if now else None
    return Column(name, DateTime(timezone=True), nullable=nullable and not now, server_default=default, info=info)
