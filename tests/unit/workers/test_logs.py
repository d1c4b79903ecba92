"""Levels of a worker's log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from workers import logs


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore what a worker configures for its whole process."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("ringback.config.logs._trace_ids", [])
    names = (None, *logs.OF_EACH_MESSAGE, *logs.OURS)
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize(
    ("asked", "ours", "celerys"),
    [
        (logging.DEBUG, logging.DEBUG, logging.DEBUG),
        (logging.INFO, logging.INFO, logging.WARNING),
        (logging.WARNING, logging.INFO, logging.WARNING),
        (logging.ERROR, logging.ERROR, logging.ERROR),
    ],
)
def test_a_message_has_no_lines_of_celerys_beside_those_of_its_job(asked: int, ours: int, celerys: int) -> None:
    logging.getLogger().setLevel(logging.INFO)  # as `ringback` does before it starts a worker
    logs.configure(asked)
    assert {logging.getLogger(name).getEffectiveLevel() for name in logs.OURS} == {ours}
    assert {logging.getLogger(name).getEffectiveLevel() for name in logs.OF_EACH_MESSAGE} == {celerys}
