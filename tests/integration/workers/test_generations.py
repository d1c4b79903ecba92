"""Real workers of two generations on one queue: each call is run by one whose tool its arguments fit."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from tests.integration.toolbox.generations.new import NEW
from tests.integration.toolbox.generations.old import OLD
from tests.integration.toolbox.line import CELERY, Line

GENERATIONS = "tests.integration.toolbox.generations."
WANTED: list[tuple[str, dict[str, Any], str | None]] = [
    ("kept", {}, None),
    ("removed", {}, OLD),
    ("added", {}, NEW),
    ("changed", {"order_id": "A-1"}, OLD),
    ("changed", {"order_id": "A-1", "reason": "lost"}, NEW),
    ("paid", {"amount": 1}, OLD),
    ("paid", {"amount": 1, "currency": "EUR"}, NEW),
    ("limited", {"order_id": "A-1", "reason": "lost"}, NEW),
]


def test_forty_of_forty_calls_are_right_while_a_release_rolls_out(line: Line) -> None:
    with ExitStack() as workers:
        for generation in (OLD, OLD, NEW):
            workers.enter_context(line.worker(*CELERY, RINGBACK_TOOL_MODULES=GENERATIONS + generation))
        asked = [(*wanted, line.ask(wanted[0], **wanted[1])) for _ in range(5) for wanted in WANTED]
        seen = [line.finished(job_id) for *_, job_id in asked]
    wrong = [
        (tool, job.state, job.result, job.error)
        for (tool, _, generation, _), job in zip(asked, seen, strict=True)
        if job.state != "succeeded" or generation not in (None, job.result[0]) or job.result[1] != 1
    ]
    assert (len(seen), wrong) == (40, [])


def test_once_the_old_workers_have_gone_the_model_is_told_what_the_new_ones_want(line: Line) -> None:
    with line.worker(*CELERY, RINGBACK_TOOL_MODULES=GENERATIONS + NEW):
        job = line.finished(line.ask("changed", order_id="A-1"))
    assert (job.state, job.error["code"], job.attempt) == ("failed", "invalid_arguments", 1)
