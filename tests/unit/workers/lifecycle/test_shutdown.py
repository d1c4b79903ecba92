"""If a thread of the worker dies, the process ends; if a tool's thread dies, it goes on."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest

from workers.lifecycle import shutdown

WORKERS = Path(shutdown.__file__).parents[1]


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reasons: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda _death: reasons.append("the others' own"))
    shutdown.end_on_thread_death(reasons.append)
    return reasons


def die(name: str, problem: type[BaseException]) -> None:
    def raise_it() -> None:
        raise problem

    thread = threading.Thread(target=raise_it, name=name)
    thread.start()
    thread.join()


@pytest.mark.parametrize("problem", [SystemExit, RuntimeError, MemoryError])
def test_the_death_of_a_vital_thread_ends_the_process_with_a_sentence(
    ended: list[str], problem: type[BaseException]
) -> None:
    die("sweeper", problem)
    assert ended == [f"thread died (sweeper) of {problem.__name__}"]


def test_the_death_of_a_tools_own_thread_is_the_tools_affair(ended: list[str]) -> None:
    die("of-a-tool", RuntimeError)
    assert ended == ["the others' own"]


def test_every_thread_that_workers_start_is_vital_but_those_of_tools() -> None:
    names = {
        keyword.value.value
        for path in WORKERS.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Thread")
        for keyword in call.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }
    assert names - {"metrics"} == shutdown.VITAL, "a worker that cannot be scraped goes on with its calls"
