"""How far a package may reach: one door to Celery, nothing imported by name, nothing opened in `ringback`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, calls, imported_names, modules, reaches, write_tree

CELERY = ("celery", "kombu", "billiard", "ringback.redis.broker")
DOORS_TO_CELERY = ("gateway/storage/job_publisher.py", "ringback/redis/broker.py", "ringback/carrier.py")

# Calls that import what a string names: the one way round an import law.
BY_NAME = frozenset({"import_module", "__import__", "import_string"})

# Calls that open a connection, start a process or a thread, or run a loop.
OPENS_OR_RUNS = frozenset(
    {"create_engine", "create_async_engine", "engine_from_config", "async_engine_from_config"}
    | {"connect", "create_connection", "create_pool", "from_url", "create_server"}
    | {"ConnectionPool", "AsyncConnectionPool", "Redis", "AsyncClient", "Thread", "Popen"}
    | {"create_task", "new_event_loop", "get_event_loop", "run_until_complete", "run_coroutine_threadsafe"}
)
# `call_spans` bounds how long the end of a process waits for the thread of OpenTelemetry's exporter.
# `migrating` runs Alembic for `ringback migrate`: it opens a connection, and closes it again. `postgres` makes the
# engines that others connect with.
OPENS_ON_PURPOSE = frozenset(
    {"ringback/postgres/migrate.py", "ringback/postgres/connections.py", "ringback/telemetry/call_spans.py"}
)


def other_doors_to_celery(root: Path) -> list[str]:
    """Modules that reach Celery beside dispatch, or that hide it from this law behind a name of ringback's."""
    return [
        str(path.relative_to(root))
        for path in modules(root, ("gateway", "ringback"))
        if str(path.relative_to(root)) not in DOORS_TO_CELERY
        and any(reaches(name, CELERY) for name in imported_names(root, path))
    ]


def imports_by_name(root: Path, folder: str) -> list[str]:
    return [
        f"{call.where} {call.name}"
        for path in modules(root, (folder,))
        for call in calls(root, path)
        if call.name in BY_NAME
    ]


def openings(root: Path) -> list[str]:
    """Where ringback opens or runs something; `asyncio.run` is looked for by its import as well."""
    found = []
    for path in modules(root, ("ringback",)):
        if str(path.relative_to(root)) in OPENS_ON_PURPOSE:
            continue
        found += [
            f"{call.where} {call.name}"
            for call in calls(root, path)
            if call.name in OPENS_OR_RUNS or call.dotted == "asyncio.run"
        ]
        found += [f"{path.relative_to(root)} {n}" for n in imported_names(root, path) if n == "asyncio.run"]
    return found


def test_only_dispatch_touches_celery_in_the_gateway() -> None:
    assert other_doors_to_celery(ROOT) == []


@pytest.mark.parametrize(
    ("importer", "statement"),
    [
        ("gateway/background/result_listener.py", "import celery"),
        ("gateway/background/result_listener.py", "from kombu.utils import json"),
        ("gateway/background/result_listener.py", "from ringback.redis.broker import app"),
        ("gateway/background/result_listener.py", "from ringback.redis import broker"),
        ("ringback/redis/url.py", "from .broker import app"),
        ("ringback/redis/url.py", "from . import broker"),
        ("ringback/config/settings.py", "def late():\n    import celery"),
    ],
)
def test_another_door_to_celery_is_found(tmp_path: Path, importer: str, statement: str) -> None:
    doors = {
        "gateway/storage/job_publisher.py": "import ringback.redis.broker",
        "ringback/redis/broker.py": "import celery",
    }
    assert other_doors_to_celery(write_tree(tmp_path, doors | {importer: statement})) == [importer]


def test_the_gateway_imports_nothing_by_name() -> None:
    assert imports_by_name(ROOT, "gateway") == []


def test_a_tool_imported_by_name_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"gateway/offer.py": "import importlib\nimportlib.import_module('workers.tools.weather')\n"})
    assert imports_by_name(tmp_path, "gateway") == ["gateway/offer.py:2 import_module"]


def test_ringback_opens_no_connection_and_runs_no_loop() -> None:
    assert openings(ROOT) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("engine = sqlalchemy.create_engine(url)", "ringback/statements.py:1 create_engine"),
        ("with psycopg.connect(url): ...", "ringback/statements.py:1 connect"),
        ("redis = Redis.from_url(url)", "ringback/statements.py:1 from_url"),
        ("asyncio.run(main())", "ringback/statements.py:1 run"),
        ("from asyncio import run", "ringback/statements.py asyncio.run"),
    ],
)
def test_an_opened_connection_is_found(tmp_path: Path, text: str, found: str) -> None:
    assert openings(
        write_tree(tmp_path, {"ringback/statements.py": text, **dict.fromkeys(OPENS_ON_PURPOSE, text)})
    ) == [found]
