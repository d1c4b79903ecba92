"""What people build voice agents with, unchanged but for URL and key: one conversation, on the policy of each token.

Each framework lives in an environment of its own, which is made where it is not there yet: minutes, and 0.1 to 0.5 GB
each (`benchmarks/peers_side_by_side/venvs.py`). One that cannot be had is skipped with a sentence.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers_side_by_side import venvs
from cli.local_stack.certificate import certificate_in
from tests.clients.conftest import BACKEND, Fetch
from tests.clients.tls import tls_in_front_of
from tests.line import TOKEN, Line

ROOT = Path(__file__).parents[2]
NODE = Path(__file__).parent / "node"
NODE_PACKAGES = ("@openai/agents-realtime@0.20.0", "openai", "zod", "ws")
PYTHON = {
    "openai": "openai_python_talks",
    "openai-agents": "openai_agents_talks",
    "pydantic-ai": "pydantic_ai_talks",
    "pipecat-ai": "pipecat_ai_talks",
    "livekit-agents": "livekit_agents_talks",
}
TOKENS = {"browser": TOKEN, "trusted": BACKEND}
PARROT = {"browser": "does not have it", "trusted": "squawk"}
"""What is heard when the client's own function is asked for: a stranger brings none."""
STEPS = ["text", "parrot", "speech", "story", "interruption", "after", "again"]
TALK_SECONDS = 150
AUDIBLE_BYTES = 48_000
"""A second of speech."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_200)]


def python_of(framework: str) -> Path:
    """The interpreter of its environment."""
    if framework == "openai":
        return Path(sys.executable)
    try:
        return venvs.pythons(venvs.default_folder(), [framework])[framework]
    except (subprocess.CalledProcessError, OSError) as problem:
        pytest.skip(f"{framework} is not tried: it cannot be installed ({problem})")


async def told_by(*command: str | Path, cwd: Path = ROOT, **more: str) -> dict[str, Any]:
    """What one run of a driver prints; `more` is its environment."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    pipe = asyncio.subprocess.PIPE
    driver = await asyncio.create_subprocess_exec(*command, cwd=cwd, env=env, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(TALK_SECONDS):
            said, complained = await driver.communicate()
    except TimeoutError:
        driver.kill()
        said, complained = await driver.communicate()
    lines = [line for line in said.decode().splitlines() if line.startswith("{")]
    assert lines, complained.decode()[-2_000:]
    told: dict[str, Any] = json.loads(lines[-1])
    return told


def check(told: dict[str, Any], policy: str) -> None:
    """Each step was heard to its end, no error came, and speech came as sound."""
    assert told["errors"] == []
    assert list(told["heard"]) == STEPS
    assert told["parrot"] == (["hello"] if policy == "trusted" else [])
    assert told["audio_bytes"] > AUDIBLE_BYTES


@pytest.mark.parametrize("policy", TOKENS)
@pytest.mark.parametrize("framework", PYTHON)
def test_a_framework_talks_to_the_gateway_as_to_the_realtime_api(
    framework: str, policy: str, line: Line, speech: Path
) -> None:
    program = ("-m", f"tests.clients.drivers.{PYTHON[framework]}")
    given = (f"{line.url}/v1", TOKENS[policy], speech, PARROT[policy])
    check(asyncio.run(told_by(python_of(framework), *program, *given)), policy)


@pytest.fixture(scope="module")
def folder(fetch: Fetch) -> Path:
    """Holds the programs for Node, their packages, and a certificate."""
    folder = fetch(*NODE_PACKAGES)
    for program in NODE.glob("*.mjs"):
        shutil.copy(program, folder)
    return folder


@pytest.mark.parametrize("policy", TOKENS)
@pytest.mark.parametrize("program", ["agents.mjs", "openai.mjs"])
def test_a_package_for_node_talks_to_it_as_well(
    program: str, policy: str, line: Line, speech: Path, folder: Path
) -> None:
    async def go() -> dict[str, Any]:
        certificate = certificate_in(folder)
        async with tls_in_front_of(int(line.url.rpartition(":")[2]), certificate) as port:
            given = (f"https://127.0.0.1:{port}/v1", TOKENS[policy], speech, PARROT[policy])
            trusted = {"NODE_EXTRA_CA_CERTS": str(certificate.certificate)}
            return await told_by("node", "--experimental-websocket", program, *given, cwd=folder, **trusted)

    check(asyncio.run(go()), policy)
