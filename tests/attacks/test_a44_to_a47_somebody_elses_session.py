"""A44, A46, A47, A62: getting into a session that is somebody else's, being in one twice, or being on the phone.

What other tenants own (A45) is beside it: `test_a45_a52_whose_data_it_is.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal

import pytest
from websockets.exceptions import InvalidStatus

from tests.attacks.toolbox.fort import FIRST, SECOND, SECRETS_PATH, Fort, in_thread, marker, order
from tests.caller import Caller
from tests.line import OTHER_TOKEN, TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

SEED = 20261124
TALKS = 24
ROUNDS = 4


async def test_a44_the_same_call_id_in_every_session_is_a_call_of_its_own_in_each(fort: Fort) -> None:
    """Two users, two gateways, the same ids at the same time: each result holds its session's own canary."""
    canaries = [marker("canary") for _ in range(TALKS)]
    await asyncio.gather(*(talk(fort, number, canary) for number, canary in enumerate(canaries)))
    for canary in canaries:
        (heard,) = fort.model.about(canary)
        told = "".join(heard.frames)
        assert [other for other in canaries if other != canary and f'"{other}' in told.replace("\\", "")] == []
        seen = [json.loads(item["output"])["seen"] for item in heard.outputs()]
        assert sorted(seen) == sorted(f"{canary}/{round_}/{n}" for round_ in range(ROUNDS) for n in range(3))


async def talk(fort: Fort, number: int, canary: str) -> None:
    chance = random.Random(SEED + number)
    token, gateway = (TOKEN, OTHER_TOKEN)[number % 2], (FIRST, SECOND)[chance.randrange(2)]
    async with fort.stranger(token, on=gateway) as caller:
        for round_ in range(ROUNDS):
            calls = [
                {
                    "name": "look",
                    "call_id": f"same-{round_}-{n}",
                    "arguments": json.dumps({"what": f"{canary}/{round_}/{n}"}),
                }
                for n in range(3)
            ]
            chance.shuffle(calls)
            await caller.ask(order(call=calls))
            for n in range(3):
                await hear_all(caller, f"{canary}/{round_}/{n}")


async def hear_all(caller: Caller, words: str) -> None:
    """Unless it was heard already, beside another result."""
    done = [event for event in caller.heard if event["type"] == "response.done"]
    if not any(words in json.dumps(event["response"]["output"]) for event in done):
        await caller.hear_words(words)


async def resumed(fort: Fort, token: str, resume: str, on: str = FIRST) -> int:
    headers = {"Authorization": f"Bearer {token}", "Ringback-Resume": resume}
    try:
        async with await fort.line.upgraded(on, headers, ringback="resume"):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


async def test_a46_a_resume_token_that_is_stolen_used_changed_or_too_late_opens_nothing(fort: Fort) -> None:
    async with fort.line.call(ringback="resume") as caller:
        await caller.hear_kind("session.created")
        first, session = caller.token, caller.session_id
        assert await resumed(fort, OTHER_TOKEN, first) == 404, "it is another user's"
        for changed in (first[:-1], first + "x", first.swapcase(), "rb_resume_", session):
            assert await resumed(fort, TOKEN, changed) == 404
        caller.vanish()
    async with fort.line.call(on=SECOND, resume=first, ringback="resume") as again:
        await again.hear_kind("session.created")
        assert again.session_id == session
        assert await resumed(fort, TOKEN, first) == 404, "it was used"
        last = again.token
        await again.socket.close(1000)
    await in_thread(lambda: fort.session(session)["state"] == "ended", "the session to be over")
    assert await resumed(fort, TOKEN, last) == 404, "the session is over"
    fort.says("resume token not valid (user somebody)")


async def test_a47_of_two_gateways_with_one_session_one_lets_go(fort: Fort) -> None:
    """The first is paused while the session is taken over on the second, and wakes as if nothing had been."""
    words, late = marker(), marker("late")
    async with fort.line.call(ringback="resume") as caller:
        await caller.hear_kind("session.created")
        await caller.ask(words)
        await caller.hear_words(words)
        token, kept = caller.token, "SELECT 1 FROM items WHERE role = 'assistant' AND strpos(content::text, %s) > 0"
        await in_thread(lambda: fort.query(kept, words), "it to be written down")
        os.kill(fort.line.pids[FIRST], signal.SIGSTOP)
        try:
            async with fort.line.call(on=SECOND, resume=token, ringback="resume") as again:
                await again.hear_kind("session.created")
                os.kill(fort.line.pids[FIRST], signal.SIGCONT)
                assert (await caller.hear_goodbye())[0] == 4409
                await again.ask(late)
                await again.hear_words(late)
                assert fort.session(again.session_id)["epoch"] == 2
        finally:
            os.kill(fort.line.pids[FIRST], signal.SIGCONT)
    assert [heard.number for heard in fort.model.about(late)] == [fort.model.about(words)[-1].number]
    assert len(fort.model.about(words)) == 2, "the second conversation was told what was said in the first"


@pytest.mark.parametrize("wish", [{"user": "phone:+4930222"}, {"user": "ada", "claims": {"phone": {"caller": "+1"}}}])
async def test_a62_no_secret_makes_its_user_a_caller_on_the_phone(fort: Fort, wish: dict[str, object]) -> None:
    answer = fort.request("POST", SECRETS_PATH, json={"ringback": wish})
    assert answer.status_code == 400
    assert "phone" in answer.json()["error"]["message"]
