"""The whole stack as `ringback up` runs it, with the simulator as the Realtime API, for real clients to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.line import Line, redis_number, running_line
from tests.servers import own_database, own_redis_db

FIRST_REDIS = 7
ORDER_SECONDS = "0.2"
"""How slow the function that is slow on purpose is here."""


@pytest.fixture(scope="package")
def line(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    with (
        own_database(database_url, "ringback_clients", migrated_template) as database,
        own_redis_db(redis_url, redis_number(FIRST_REDIS)) as redis,
        running_line(
            database, redis, tmp_path_factory.mktemp("clients"), settings={"RINGBACK_ORDER_DELAY": ORDER_SECONDS}
        ) as line,
    ):
        yield line
