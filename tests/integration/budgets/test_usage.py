"""What responses used, in real rows: each once, whoever hangs up and whatever is away."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete, func, select, text

from gateway.conversation.actions import RecordUsage
from gateway.storage.connection_pool import ConnectionPool
from gateway.storage.database import Store, open_pool
from ringback.config.settings import postgres_url
from ringback.postgres.statement import Runnable
from ringback.tables import responses, sessions, usage_days
from tests.integration.budgets.budget_rows import AGENT, ANN, BOB, MODEL, TOLD, Metered, World, tell


def test_what_a_response_used_is_written_once_and_summed_up(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, session_id := await world.opened(), ANN, AGENT, MODEL)
        for _ in range(3):
            assert await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        await world.budgets.close()
        for response_id in ("resp_1", "resp_2"):
            await usage.record(1, RecordUsage(response_id, TOLD, "cancelled"))
        await world.budgets.close()
        rows = await world.store.rows(select(responses).order_by(responses.c.response_id))
        assert [(row.response_id, row.status, row.micros) for row in rows] == [
            ("resp_1", "completed", 640),
            ("resp_2", "cancelled", 640),
        ]
        assert rows[0].tokens == {"text_in": 100, "audio_out": 10}
        assert (rows[0].user_id, rows[0].agent, rows[0].model, rows[0].epoch) == ("ann", "demo", MODEL, 1)
        row = (await world.store.rows(select(sessions).where(sessions.c.id == session_id)))[0]
        assert (row.tokens, row.micros) == (220, 1280)
        (day,) = await world.store.rows(select(usage_days))
        assert (day.user_id, day.responses, day.input_tokens, day.output_tokens, day.micros) == (
            "ann",
            2,
            200,
            20,
            1280,
        )

    tell(database, story)


def test_what_many_responses_used_is_summed_up_once_for_each_session_and_user(database: str) -> None:
    """In one statement, and once more in another, in which some are told again."""

    async def story(world: World) -> None:
        whose = {await world.opened(caller): caller for caller in (ANN, ANN, BOB)}
        for told in (3, 5):
            for session_id, caller in whose.items():
                usage = Metered(world.budgets, session_id, caller, AGENT, MODEL)
                for number in range(told):
                    usage.ended(1, RecordUsage(f"resp_{number}", TOLD, "completed"))
            await world.budgets.close()
        rows = await world.store.rows(select(sessions))
        assert [(row.tokens, row.micros) for row in rows] == [(550, 3_200)] * len(whose)
        days = await world.store.rows(select(usage_days).order_by(usage_days.c.user_id))
        sums = [(day.user_id, day.responses, day.input_tokens, day.output_tokens, day.micros) for day in days]
        assert sums == [("ann", 10, 1_000, 100, 6_400), ("bob", 5, 500, 50, 3_200)]

    tell(database, story)


def test_a_response_that_is_told_twice_is_no_fault(database: str, caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        told = [await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) for _ in range(2)]
        assert told[0] is not None
        assert told[1] == told[0], "it is written down, and what is left is known"

    tell(database, story, tokens_per_day=110)
    assert not caplog.records


def test_what_postgres_will_never_take_is_not_tried_for_ever(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(text("ALTER TABLE responses ADD CHECK (status <> 'cursed')"))
        for response_id, status in (("resp_1", "completed"), ("resp_2", "cursed"), ("resp_3", "completed")):
            await usage.record(1, RecordUsage(response_id, TOLD, status))
        await world.budgets.close()
        await world.store.count(text("ALTER TABLE responses DROP CONSTRAINT responses_status_check"))
        await world.budgets.close()
        rows = await world.store.rows(select(responses.c.response_id).order_by(responses.c.response_id))
        assert [row.response_id for row in rows] == ["resp_1", "resp_3"], "and it takes no other with it"

    tell(database, story)


def test_a_model_without_a_price_is_counted_and_costs_nobody_knows_what(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, "my-deployment")
        await usage.record(1, RecordUsage("resp_1", TOLD, "completed"))
        await world.budgets.close()
        assert await world.one(select(responses.c.micros)) is None
        assert await world.one(select(sessions.c.tokens)) == 110

    tell(database, story)


def test_a_response_that_nobody_heard_the_end_of_counts_as_the_one_before(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await usage.check(1, "resp_1")
        await usage.record(1, RecordUsage("resp_1", TOLD, "completed"))
        await usage.check(1, "resp_2")
        await usage.check(2, "resp_3")  # the second was lost with its epoch
        await usage.record(2, RecordUsage("resp_3", {"input_tokens": 200}, "completed"))
        await usage.check(2, "resp_4")
        usage.leave()  # and the client hung up in the middle of the fourth
        await world.budgets.close()
        rows = await world.store.rows(select(responses).order_by(responses.c.response_id))
        assert [(row.epoch, row.status, row.input_tokens + row.output_tokens) for row in rows] == [
            (1, "completed", 110),
            (1, "unheard", 110),
            (2, "completed", 200),
            (2, "unheard", 200),
        ]

    tell(database, story)


def test_a_response_that_completed_and_tells_no_usage_is_not_for_nothing(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await usage.record(1, RecordUsage("resp_1", {}, "completed"))
        await usage.record(1, RecordUsage("resp_2", TOLD, "completed"))
        await usage.record(1, RecordUsage("resp_3", {}, "completed"))
        await usage.record(1, RecordUsage("resp_4", {}, "failed"))
        await world.budgets.close()
        rows = await world.store.rows(select(responses).order_by(responses.c.response_id))
        assert [row.input_tokens + row.output_tokens for row in rows] == [1_200, 110, 110, 0]

    tell(database, story)


def test_a_late_word_of_an_earlier_epoch_takes_nothing_for_lost(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await usage.check(2, "resp_2")
        await usage.check(1, "resp_1")
        await usage.record(2, RecordUsage("resp_2", TOLD, "completed"))
        usage.leave(2)
        await world.budgets.close()
        rows = await world.store.rows(select(responses).order_by(responses.c.response_id))
        assert [(row.response_id, row.epoch, row.status) for row in rows] == [
            ("resp_1", 1, "unheard"),
            ("resp_2", 2, "completed"),
        ]

    tell(database, story)


def test_the_first_response_is_not_for_nothing_when_its_client_hangs_up(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await usage.check(1, "resp_1")
        usage.leave()
        usage.leave()
        await world.budgets.close()
        assert await world.one(select(sessions.c.tokens)) == 1_200

    tell(database, story)


def test_what_is_recorded_while_postgres_is_away_is_written_when_it_is_back(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(text("ALTER TABLE responses RENAME TO away"))
        assert await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        settling = asyncio.create_task(world.budgets.settle())
        await world.store.count(text("ALTER TABLE away RENAME TO responses"))
        async with asyncio.timeout(20):
            while not await world.one(select(func.count()).select_from(responses)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        settling.cancel()
        assert await world.one(select(sessions.c.tokens)) == 110

    tell(database, story, tokens_per_day=1_000)


def test_a_client_that_hangs_up_at_the_last_word_has_used_it_all_the_same(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        recording = asyncio.create_task(usage.record(1, RecordUsage("resp_1", TOLD, "completed")))
        await asyncio.sleep(0)  # it has begun
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording
        await world.budgets.close()
        assert await world.one(select(func.count()).select_from(responses)) == 1

    tell(database, story, tokens_per_day=1_000)


def test_where_no_budget_holds_usage_waits_for_that_of_others_and_is_written_soon(database: str) -> None:
    async def story(world: World) -> None:
        usages = [Metered(world.budgets, await world.opened(who), who, AGENT, MODEL) for who in (ANN, BOB, ANN)]
        settling = asyncio.create_task(world.budgets.settle())
        for usage in usages:
            assert await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        async with asyncio.timeout(20):
            while not await world.one(select(func.count()).select_from(responses)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        settling.cancel()
        days = await world.store.rows(select(usage_days).order_by(usage_days.c.user_id))
        assert [(day.user_id, day.responses, day.input_tokens) for day in days] == [("ann", 2, 200), ("bob", 1, 100)]

    tell(database, story)


class Busy(Store):
    """Store in which another response ends while one is written, until there are as many as these."""

    def __init__(self, pool: ConnectionPool, responses: int) -> None:
        super().__init__(pool)
        self.responses, self.usage, self.written = responses, list[Metered](), list[str]()

    async def count(self, statement: Runnable) -> int:
        for usage in self.usage:
            self.written.append(f"resp_{len(self.written) + 1}")
            if len(self.written) < self.responses:
                usage.ended(1, RecordUsage(f"resp_{len(self.written) + 1}", TOLD, "completed"))
        return await super().count(statement)


def test_what_comes_while_usage_is_written_waits_for_the_next_time(database: str) -> None:
    """Or a busy gateway would write all the time, a response each."""

    async def story(world: World) -> None:
        pool = open_pool(postgres_url(database), 1)
        busy = World(store := Busy(pool, 4), tokens_per_day=1_000)
        store.usage.append(usage := Metered(busy.budgets, await world.opened(), ANN, AGENT, MODEL))
        assert await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        assert store.written == ["resp_1"]
        await busy.budgets.close()
        assert len(store.written) == 4, "a gateway that ends writes until nothing waits"
        await pool.close()
        assert await world.one(select(func.count()).select_from(responses)) == 4

    tell(database, story)


def test_what_waits_to_be_written_counts_as_the_next_response_begins(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        other = Metered(world.budgets, await world.opened(), ANN, AGENT, MODEL)
        await other.check(1, "resp_1")
        other.leave()  # a client that hung up: nothing has written what its response counts as
        assert await usage.check(1, "resp_1") is not None

    tell(database, story, tokens_per_user_per_day=1_000)


def test_of_a_session_that_was_erased_nothing_is_owed(database: str) -> None:
    async def story(world: World) -> None:
        usage = Metered(world.budgets, session_id := await world.opened(), ANN, AGENT, MODEL)
        await world.store.count(delete(sessions).where(sessions.c.id == session_id))
        assert await usage.record(1, RecordUsage("resp_1", TOLD, "completed")) is None
        await world.budgets.close()
        assert await world.one(select(func.count()).select_from(usage_days)) == 0

    tell(database, story)
