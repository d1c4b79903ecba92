"""A line whose tools have manners, and a caller to hear them."""

from __future__ import annotations

import base64
import itertools
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.caller import Caller
from tests.line import OF_A_FOLDER, Line, eventually, redis_number, running_line
from tests.manners.toolbox import FOLDER
from tests.servers import own_database, own_redis_db

HERE = Path(__file__).parent
RATE = 24_000
_numbers = itertools.count(100)


@dataclass(frozen=True)
class Counter:
    """Where tools with manners are served; what they do is seen by files."""

    line: Line
    folder: Path

    def begun(self, name: str) -> None:
        eventually(lambda: (self.folder / f"begun-{name}").exists(), f"{name} to begin")

    def has_begun(self, name: str) -> bool:
        return (self.folder / f"begun-{name}").exists()

    def let_go(self, name: str) -> None:
        (self.folder / f"go-{name}").touch()

    def cancelled(self, name: str) -> None:
        eventually(lambda: (self.folder / f"cancelled-{name}").exists(), f"{name} to be told that nobody waits")


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the product runs on."""
    return "asyncio"


@pytest.fixture(scope="package")
def counter(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counter]:
    logs = tmp_path_factory.mktemp("manners")
    folder = logs / "begun"
    folder.mkdir()
    with (
        own_database(database_url, "ringback_manners", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FOLDER)) as redis,
        running_line(
            database,
            redis,
            logs,
            tools="tests.manners.toolbox",
            agents=HERE / "toolbox" / "agents",
            scenario=str(HERE / "toolbox" / "manners.yaml"),
            settings={FOLDER: str(folder), "RINGBACK_DEFAULT_AGENT": "caller"},
            voice=True,
        ) as line,
    ):
        yield Counter(line, folder)


@pytest.fixture
def name() -> str:
    """Of a thing that nobody has asked for."""
    return f"x-{next(_numbers)}"


async def begin_to_speak(caller: Caller) -> None:
    """A second of noise, which no ear makes words of."""
    noise = random.Random(7)
    sound = array("h", (noise.randint(-8_000, 8_000) for _ in range(RATE)))
    await _sound(caller, sound)
    await caller.hear_kind("input_audio_buffer.speech_started")


async def stop_speaking(caller: Caller) -> None:
    await _sound(caller, array("h", bytes(2 * RATE)))
    await caller.hear_kind("input_audio_buffer.speech_stopped")


async def _sound(caller: Caller, sound: array[int]) -> None:
    audio = base64.b64encode(sound.tobytes()).decode()
    await caller.send({"type": "input_audio_buffer.append", "audio": audio})
