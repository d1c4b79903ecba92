"""The whole stack as `ringback up` runs it, with the simulator as the Realtime API, for real clients to call."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.speech import synthesis
from tests.line import OF_A_FOLDER, OTHER_TOKEN, TOKEN, Line, redis_number, running_line
from tests.servers import own_database, own_redis_db

ORDER_SECONDS = "0.2"
"""How slow the function that is slow on purpose is here."""
BACKEND = "rb_token-of-a-backend-of-ones-own"
"""Of a trusted client; `TOKEN` is that of any other."""
TOKENS = f"tester:{TOKEN},somebody:{OTHER_TOKEN},backend:{BACKEND}:trusted"
SCENARIO = Path(__file__).parent / "scenario.yaml"
SPOKEN = "what is the weather in london"
NPM_SECONDS = 120
Fetch = Callable[..., Path]


@pytest.fixture(scope="session")
def fetch(tmp_path_factory: pytest.TempPathFactory) -> Fetch:
    """Makes a folder with these packages of npm in it, or skips the test with a sentence."""

    def into_a_folder(*packages: str) -> Path:
        missing = [program for program in ("node", "npm") if shutil.which(program) is None]
        if missing:
            pytest.skip(f"{packages[0]} is not tried: {', '.join(missing)} is not installed")
        folder = tmp_path_factory.mktemp("node")
        install = ["npm", "install", "--no-audit", "--no-fund", "--silent", *packages]
        try:
            subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=NPM_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as problem:
            pytest.skip(f"{packages[0]} is not tried: npm cannot fetch {' and '.join(packages)} ({problem})")
        return folder

    return into_a_folder


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the question that is asked aloud."""
    file = tmp_path_factory.mktemp("speech") / "weather.pcm"
    file.write_bytes(synthesis.speak(SPOKEN))
    return file


@pytest.fixture(scope="package")
def line(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    with (
        own_database(database_url, "ringback_clients", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FOLDER)) as redis,
        running_line(
            database,
            redis,
            tmp_path_factory.mktemp("clients"),
            settings={"RINGBACK_ORDER_DELAY": ORDER_SECONDS},
            gateway_settings={"RINGBACK_TOKENS": TOKENS},
            scenario=str(SCENARIO),
            voice=True,
        ) as line,
    ):
        yield line
