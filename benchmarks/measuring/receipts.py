"""What a benchmark has timed must have happened: where it did not, the benchmark ends with a sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import create_engine, func, select
from sqlalchemy.pool import NullPool

from ringback.config.settings import postgres_url
from ringback.tables import jobs


def insist(what: str, found: object, expected: object) -> None:
    """End the benchmark unless it was found as expected."""
    if found != expected:
        raise SystemExit(f"this measures nothing: {what}: {found!r} instead of {expected!r}")


def insist_on_success(database_url: str, call_ids: Collection[str]) -> None:
    """Each of these calls has a row, was run by a worker, once, and succeeded."""
    insist("calls by how their rows ended", ends_of(database_url, call_ids), {("succeeded", 1, None): len(call_ids)})


def ends_of(database_url: str, call_ids: Collection[str]) -> Mapping[tuple[str, int, Any], int]:
    """How many of these calls have a row with this state, number of attempts and error code."""
    engine = create_engine(postgres_url(database_url), poolclass=NullPool)
    ends = (jobs.c.state, jobs.c.attempt, jobs.c.error["code"].astext)
    with engine.connect() as connection:
        found = select(*ends, func.count()).where(jobs.c.call_id.in_(call_ids)).group_by(*ends)
        return {(row[0], row[1], row[2]): row[3] for row in connection.execute(found)}


def left_of(database_url: str, call_ids: Collection[str]) -> str:
    """What the rows say of calls other than these that are not told, in words: for a benchmark that waits in vain."""
    engine = create_engine(postgres_url(database_url), poolclass=NullPool)
    others = select(jobs).where(jobs.c.call_id.not_in(call_ids), jobs.c.delivery.in_(["none", "ready"]))
    with engine.connect() as connection:
        rows = connection.execute(others).all()
    told = (f"{row.state}/{row.delivery} in attempt {row.attempt} of {row.worker_id}, {row.error}" for row in rows)
    return "; ".join(told) or "each that has a row was told"


def count(database_url: str, table: Any) -> int:
    """How many rows a table has."""
    engine = create_engine(postgres_url(database_url), poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
