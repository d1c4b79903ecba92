"""What each command loads before it does anything: a library that it does not use is time a person waits for.

Judged by the modules that Python has loaded, as counted by `-X importtime`, and never by a clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

IS_FOR_SERVERS = {
    *("alembic", "celery", "kombu", "redis", "fastapi", "starlette", "uvicorn", "uvloop", "websockets", "h11"),
    *("gateway", "workers", "simulator", "mcp", "openai", "httpx"),
}
"""What only a gateway, a worker, the simulator or a demo needs."""
IS_FOR_TOOLS = {
    "docstring_parser",
    "jsonschema",
    "yaml",
    "ringback.tools.decorator",
    "ringback.tools.schema",
    "ringback.tools.declaration",
}
IS_FOR_KEYS = {"cryptography", "jwt"}
IS_FOR_ROWS = {"sqlalchemy", "psycopg"}
IS_FOR_LOOPS = {"sqlalchemy.ext.asyncio", "sqlalchemy.orm"}
"""What only a process that waits for many statements at once needs."""
IS_FOR_SETTINGS = {"pydantic_settings", "ringback.config.settings", "ringback.privacy.encryption"}
"""What a command does not need that reads DATABASE_URL alone."""
IS_FOR_ONE_ROW = {"ringback.operator_view", "ringback.statements.jobs"}
"""What shows one call or conversation, and no list does."""
IS_FOR_TABLES = {"rich", "cli.output.tables"}
"""What a table is drawn with, which neither JSON nor a refusal needs."""
IS_FOR_OTHER_COMMANDS = {"cli.tokens", "cli.users", "cli.tenants", "cli.usage", "cli.agents", "cli.tools", "cli.checks"}
IS_FOR_LISTS = {
    *(IS_FOR_SERVERS | IS_FOR_TOOLS | IS_FOR_KEYS | IS_FOR_LOOPS | IS_FOR_SETTINGS | IS_FOR_ONE_ROW | IS_FOR_TABLES),
    *IS_FOR_OTHER_COMMANDS,
}
IS_FOR_HELP = {"pydantic", "pydantic_settings", "rich", "asyncio"}
"""typer itself loads pydantic as soon as it runs a command; the first page of help is before that."""

IS_FOR_CALLS = {"httpx", "rich", "aiortc", "av", "simulator.callers", "websockets.asyncio.client"}
"""What the simulator needs only once it rings at a webhook, or is offered a call."""
IS_FOR_REMOTE_TOOLS = {"httpx", "rich", "mcp", "workers.remote_tools"}
"""What a worker needs only if RINGBACK_TOOL_FILES names a file."""

LEFT_TO_COLLECT = """
import atexit, gc, sys
atexit.register(lambda: print(len(gc.get_objects())))  # registered first, called last
from cli.main import main
sys.argv = ["ringback", "jobs", "list"]
main()
"""
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


def loaded_by(words: list[str], folder: Path) -> set[str]:
    """The modules that `python -m cli` with these words loads, and the packages that hold them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cli", *words],
        cwd=folder,
        env={**os.environ, "DATABASE_URL": NO_DATABASE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = (line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:"))
    names = {name for name in lines if name and name != "imported package"}
    assert "cli.main" in names, done.stderr
    return names | {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["--help"], IS_FOR_SERVERS | IS_FOR_TOOLS | IS_FOR_KEYS | IS_FOR_ROWS | IS_FOR_HELP),
        (["--version"], IS_FOR_SERVERS | IS_FOR_TOOLS | IS_FOR_KEYS | IS_FOR_ROWS | IS_FOR_HELP),
        (["jobs", "--help"], IS_FOR_SERVERS | IS_FOR_TOOLS | IS_FOR_KEYS | IS_FOR_ROWS),
        (["jobs", "list"], IS_FOR_LISTS),
        (["sessions", "list"], IS_FOR_LISTS),
        (["simulator", "--scenario", "none"], IS_FOR_CALLS),
        (["worker"], IS_FOR_REMOTE_TOOLS | IS_FOR_OTHER_COMMANDS),
    ],
    ids=["help", "version", "help of jobs", "jobs list", "sessions list", "simulator", "worker"],
)
def test_a_command_loads_only_what_it_uses(words: list[str], unneeded: set[str], tmp_path: Path) -> None:
    assert sorted(loaded_by(words, tmp_path) & unneeded) == []


def test_a_command_on_rows_does_load_the_driver(tmp_path: Path) -> None:
    """Else the test above would pass for a command that fails before it does anything."""
    assert loaded_by(["jobs", "list"], tmp_path) >= IS_FOR_ROWS


def test_python_looks_for_no_garbage_as_a_short_command_ends(tmp_path: Path) -> None:
    env = {**os.environ, "DATABASE_URL": NO_DATABASE}
    argv = [sys.executable, "-c", LEFT_TO_COLLECT]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "cannot be reached" in done.stderr
    assert int(done.stdout) < 1_000
