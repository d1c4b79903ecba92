"""What the gateway writes as JSON comes back as it was, and what no row can hold is Postgres' to refuse."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.jobs.states import JobState
from ringback.postgres.statement import Bound

pytestmark = pytest.mark.anyio
VALUES: tuple[Any, ...] = (
    None,
    "It’s 12° \U0001f327 \t\x1f",
    [1, -0.5, 12.25, 2**70, True],
    {"": {"a": []}, "ключ": ["\\", '"', "/"]},
    {"state": JobState.RUNNING, "of": ("a", "b"), "7": 7},
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def written(database: str, value: Any) -> Any:
    store = Store(open_pool(postgres_url(database), 1))
    try:
        ((found,),) = await store.rows(Bound(b"SELECT $1::jsonb", [Jsonb(value)]))
    finally:
        await store.close()
    return found


@pytest.mark.parametrize("value", VALUES, ids=str)
async def test_a_value_comes_back_as_json_has_it(database: str, value: Any) -> None:
    assert await written(database, value) == json.loads(json.dumps(value))


@pytest.mark.parametrize("value", [{"half": "\ud800"}, {"nul": "\0"}], ids=str)
async def test_what_no_row_can_hold_is_a_fault_of_the_data(database: str, value: Any) -> None:
    with pytest.raises(psycopg.DataError):
        await written(database, value)
