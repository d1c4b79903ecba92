"""What decides does no I/O: no event loop, socket, broker or engine, not even through a module of ours.

These are the modules in which the subtle rules live. Kept free of I/O they are plain functions from what
happened to what to do next, and a table of tests can hold all of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, imported_names, reaches, write_tree

# Globs without their suffix: `gateway/conversation` is that module, or that package with all it holds.
DECIDING = (
    "gateway/conversation",
    *(f"gateway/auth/{name}" for name in ("claims", "jwt_settings", "origins", "tokens")),
    "gateway/protocol",
    *(f"gateway/web/console/{name}" for name in ("chart", "search_line", "story", "timeline")),
    "gateway/session/call_story",
    "gateway/session/recording/placing",
    *(f"gateway/upstream/{name}" for name in ("call_endpoints", "events", "quirks", "realtime_events")),
    *(str(path.relative_to(ROOT).with_suffix("")) for path in ROOT.glob("gateway/upstream/*_translation.py")),
    "ringback/jobs",
    "ringback/recordings",
    "ringback/statements",
    "ringback/sweeper",
    "ringback/telemetry/call_trace",
    "ringback/telemetry/names",
    "ringback/tools",
    "ringback/usage",
    "simulator/conversation",
    "simulator/responses",
    "simulator/scripting/scenario",
    "simulator/speech/hints",
    "simulator/speech/vad",
    "simulator/understanding",
    *(f"workers/remote_tools/{name}" for name in ("declaration", "failures", "schemas", "tool_files")),
    *(f"workers/remote_tools/mcp/{name}" for name in ("answers", "reading")),
    *(f"workers/remote_tools/openapi/{name}" for name in ("answers", "operations", "request", "yaml_core")),
    "workers/execution/retry_policy",
    "workers/lifecycle/canary_policy",
    "workers/lifecycle/shutdown_policy",
)
IO_LIBRARIES = (
    *("asyncio", "socket", "psycopg", "redis", "celery", "kombu"),
    *("fastapi", "starlette", "uvicorn", "websockets", "picows", "httpx"),
)
# Building a statement is deciding, holding an engine is not (`Row` can be had from sqlalchemy itself).
# Looked for in the source, as an import graph knows other people's packages only as a whole.
ENGINES = (
    "sqlalchemy.create_engine",
    "sqlalchemy.engine",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm.Session",
)


def files_of(root: Path, module: str) -> list[Path]:
    """The module's file, or the files of the package that it has become."""
    single = root / f"{module}.py"
    return [single] if single.is_file() else sorted((root / module).rglob("*.py"))


def engines(root: Path) -> list[str]:
    """Deciding modules that name an engine, or a session that would hold one."""
    return [
        f"{path.relative_to(root)}: {name}"
        for module in DECIDING
        for path in files_of(root, module)
        for name in imported_names(root, path)
        if reaches(name, ENGINES)
    ]


CHAINS = """
import sys
import grimp

packages, libraries, deciding = (argument.split(",") for argument in sys.argv[1:])
graph = grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
for name in deciding:
    if name not in graph.modules:
        continue
    for module in sorted({name, *graph.find_descendants(name)}):
        for library in sorted(set(libraries) & graph.modules):
            if chain := graph.find_shortest_chain(module, library):
                print(" -> ".join(chain))
"""


def io_chains(root: Path) -> list[str]:
    """The shortest way from each deciding module to each library that does I/O, as `a -> b -> library`."""
    deciding = ",".join(module.replace("/", ".") for module in DECIDING)
    outcome = subprocess.run(
        [sys.executable, "-c", CHAINS, ",".join(PACKAGES), ",".join(IO_LIBRARIES), deciding],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout.splitlines()


def test_what_decides_reaches_no_io_library() -> None:
    assert io_chains(ROOT) == []


def test_what_decides_names_no_engine() -> None:
    assert engines(ROOT) == []


@pytest.mark.parametrize("package", sorted({module.split("/")[0] for module in DECIDING}))
def test_the_deciding_modules_of_a_package_that_has_any_are_there(package: str) -> None:
    begun = any(path.name != "__init__.py" for path in (ROOT / package).rglob("*.py"))
    missing = [module for module in DECIDING if module.startswith(package + "/") and not files_of(ROOT, module)]
    assert not begun or missing == [], f"renamed? this law no longer looks at {missing}"


def test_each_io_library_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"ringback/jobs/states.py": f"def late():\n    import {', '.join(IO_LIBRARIES)}\n"})
    assert io_chains(tmp_path) == [f"ringback.jobs.states -> {library}" for library in sorted(IO_LIBRARIES)]


def test_an_io_library_behind_another_module_of_ours_is_found(tmp_path: Path) -> None:
    files = {"gateway/conversation/speaker.py": "import gateway.clock", "gateway/clock.py": "import asyncio"}
    assert io_chains(write_tree(tmp_path, files)) == ["gateway.conversation.speaker -> gateway.clock -> asyncio"]


@pytest.mark.parametrize(
    "statement",
    [
        "from sqlalchemy.ext.asyncio import AsyncEngine",
        "from sqlalchemy import create_engine",
        "import sqlalchemy.engine",
    ],
)
def test_an_engine_is_found(tmp_path: Path, statement: str) -> None:
    assert engines(write_tree(tmp_path, {"ringback/statements.py": statement})) != []


@pytest.mark.parametrize("statement", ["from sqlalchemy import select", "from sqlalchemy import Row, func"])
def test_building_a_statement_and_reading_a_row_are_deciding(tmp_path: Path, statement: str) -> None:
    assert engines(write_tree(tmp_path, {"ringback/statements.py": statement})) == []
