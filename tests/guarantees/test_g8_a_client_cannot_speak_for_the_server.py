"""G8: what a client sends goes on as far as a client may speak, written anew; nothing that is the server's comes back.

The attacks one by one are in tests/attacks/; these are frames at random.
"""

from __future__ import annotations

import random

import pytest

from tests.attacks.toolbox.fort import PASSWORD, Fort, marker
from tests.attacks.toolbox.frames import ODD, TWO_READINGS
from tests.fuzz.mutating import mutated
from tests.fuzz.oracle import TYPES, strays
from tests.fuzz.seeds import CLIENT

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

FRAMES = 600


@pytest.mark.parametrize("seed", [7, 2026, 1124])
async def test_whatever_a_client_sends_the_model_hears_what_a_client_may_say_and_nothing_as_it_came(
    fort: Fort, seed: int
) -> None:
    """Frames from one seed, and every frame with two readings, on one real line."""
    chance, words = random.Random(seed), marker("fuzz")
    random_ones = (mutated(CLIENT, chance) for _ in range(FRAMES))
    frames: list[str | bytes] = [*random_ones, *ODD.values(), *TWO_READINGS.values()]
    chance.shuffle(frames)
    async with fort.stranger(agent="patient") as caller:
        for frame in frames:
            await caller.socket.send(sendable(frame))
        await caller.ask(words)
        await caller.hear_words(words)
        answered = [event for event in caller.heard if event["type"] == "error"]
    heard = fort.upstream_of(words)
    configured, *said = heard.events
    assert configured["type"] == "session.update"
    assert PASSWORD in configured["session"]["instructions"]
    clients = [event for event in said if not event["event_id"].startswith("rb_") or "rb_client_" in event["event_id"]]
    assert len(clients) > FRAMES / 20, "many of them are good"
    assert len(answered) > FRAMES / 3, "and many are not"
    assert {event["type"] for event in clients} <= TYPES
    assert [(event, strays(event, "browser")) for event in clients if strays(event, "browser")] == []
    ours = [event for event in said if event not in clients]
    assert {event["type"] for event in ours} <= {"response.create", "response.cancel"}
    assert [frame for frame in heard.frames if frame in frames] == [], "nothing is passed on as it came"
    assert PASSWORD not in "".join(caller.frames)


def sendable(frame: str | bytes) -> str | bytes:
    """Text, unless no text can be sent so: half of a pair of surrogates goes as bytes."""
    if isinstance(frame, bytes):
        return frame
    try:
        frame.encode()
    except UnicodeEncodeError:
        return frame.encode("utf-8", "surrogatepass")
    return frame
