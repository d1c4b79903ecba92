"""What was used, over HTTP, on a bare app and a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine, insert
from sqlalchemy.pool import NullPool

from gateway.api import history
from ringback.config.settings import postgres_url
from ringback.tables import usage_days
from tests.integration.toolbox.small_gateway import app_for_tenants, small_gateway, store_on

TODAY = datetime.now(UTC).date()  # of when the run began: a row of it counts on the next day as well


def is_today(day: str, *, since: date = TODAY) -> bool:
    """Tell whether it is the day of now, or one that a run over midnight has passed."""
    return since <= date.fromisoformat(day) <= datetime.now(UTC).date()


def use(engine: Engine, day: date = TODAY, *, tenant: str = "default", **columns: Any) -> None:
    row = {"user_id": "ann", "agent": "demo", "model": "m", "responses": 1, "input_tokens": 10, "output_tokens": 5}
    with engine.begin() as connection:
        connection.execute(insert(usage_days).values(tenant=tenant, day=day, **{**row, "micros": 250_000, **columns}))


@pytest.fixture
def rows(database: str) -> Iterator[Engine]:
    engine = create_engine(postgres_url(database), poolclass=NullPool)
    yield engine
    engine.dispose()


class Api:
    def __init__(self, database: str) -> None:
        self.app = app_for_tenants(small_gateway(store_on(database)), history.router)

    def answer(self, tenant: str = "default", **asked: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            bearer = {"Authorization": f"Bearer {tenant}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=bearer) as client:
                return await client.get("/v1/usage", params=asked or None)

        return asyncio.run(ask())

    def get(self, **asked: Any) -> Any:
        answer = self.answer(**asked)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def api(database: str) -> Api:
    return Api(database)


def test_where_nothing_was_used_the_sums_are_nothing(api: Api, rows: Engine) -> None:
    told = api.get()
    assert is_today(told["to"])
    assert told == {
        "object": "list",
        "group_by": "day",
        "from": str(date.fromisoformat(told["to"]) - timedelta(days=29)),
        "to": told["to"],
        "total": {"responses": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0.0},
        "data": [],
        "has_more": False,
        "next": None,
    }


@pytest.mark.parametrize(
    ("by", "keys"),
    [
        ("user", ["ann", "bob"]),
        ("agent", ["baker", "demo"]),
        ("model", ["m", "n"]),
        ("day", [str(TODAY), str(TODAY - timedelta(days=1))]),
    ],
)
def test_it_is_summed_up_by(api: Api, rows: Engine, by: str, keys: list[str]) -> None:
    use(rows)
    use(rows, model="n", responses=2)
    use(rows, user_id="bob", agent="baker")
    use(rows, TODAY - timedelta(days=1))
    use(rows, tenant="other", user_id="eve", agent="other", model="other")
    told = api.get(group_by=by)
    assert [group["key"] for group in told["data"]] == keys
    assert told["total"] == {"responses": 5, "input_tokens": 40, "output_tokens": 20, "cost": 1.0}
    for name, total in told["total"].items():
        assert sum(group[name] for group in told["data"]) == total


def test_the_first_and_the_last_day_count_and_those_around_them_do_not(api: Api, rows: Engine) -> None:
    days = [date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 2)]
    for day in days:
        use(rows, day)
    told = api.get(**{"from": "2026-01-31", "to": "2026-02-01"})
    assert [group["key"] for group in told["data"]] == ["2026-02-01", "2026-01-31"]
    assert told["total"]["responses"] == 2


@pytest.mark.parametrize("by", ["user", "day"])
def test_pages_lose_nothing_and_repeat_nothing(api: Api, rows: Engine, by: str) -> None:
    for number in range(5):
        use(rows, TODAY - timedelta(days=number), user_id=f"user-{number}")
    pages, after = [], None
    while True:
        told = api.get(group_by=by, limit=2, **({} if after is None else {"after": after}))
        pages.append([group["key"] for group in told["data"]])
        assert told["total"]["responses"] == 5
        after = told["next"]
        assert told["has_more"] == (after is not None)
        if after is None:
            break
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({key for page in pages for key in page}) == 5


def test_a_tenant_sees_its_own(api: Api, rows: Engine) -> None:
    use(rows)
    use(rows, tenant="other", responses=7)
    assert api.get(tenant="other")["total"]["responses"] == 7


def test_whoever_is_nobody_is_told_nothing(api: Api, rows: Engine) -> None:
    assert api.answer(tenant="nobody").status_code == 401


REFUSED = (
    ({"from": "yesterday"}, "from", "from must be a day such as 2026-01-31, not 'yesterday'."),
    ({"to": "2026-13-01"}, "to", "to must be a day such as 2026-01-31, not '2026-13-01'."),
    ({"group_by": "tool"}, "group_by", "group_by must be day, user, agent or model, not 'tool'."),
    ({"limit": "0"}, "limit", "limit must be a whole number from 1 to 200, not '0'."),
    ({"from": "2026-02-01", "to": "2026-01-31"}, "from", "from must not be after to: 2026-02-01 is after 2026-01-31."),
    (
        {"from": "2020-01-01", "to": "2026-01-31"},
        "from",
        "from and to must not be more than 366 days apart: ask for less at once.",
    ),
    ({"after": "ann"}, "after", "after must be the `next` of the page before."),
    ({"user": "ann"}, "user", "user is not a parameter of this list: leave it out."),
)


@pytest.mark.parametrize(("asked", "param", "sentence"), REFUSED)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    api: Api, asked: dict[str, str], param: str, sentence: str
) -> None:
    answer = api.answer(**asked)
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["message"]) == (param, sentence)
