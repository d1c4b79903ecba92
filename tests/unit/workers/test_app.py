"""Decisions of the Celery app before any worker starts."""

from __future__ import annotations

import logging
import os
from uuid import UUID

import pytest

from ringback.config.settings import load
from ringback.errors import ConfigurationError
from workers.app import app, asks_for_prefork, calls_at_once, job_id_in, take
from workers.settings import WorkerSettings

ID = "0b7a3d5c-8a44-4c0e-9d5c-0d8a6f5f0a11"
URLS = {"DATABASE_URL": "postgresql://localhost/x", "REDIS_URL": "redis://localhost"}


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("celery -A workers.app worker", False),
        ("celery -A workers.app worker -P threads", False),
        ("celery -A workers.app worker -P prefork", True),
        ("celery -A workers.app worker -Pprefork -c 2", True),
        ("celery -A workers.app worker --pool=prefork", True),
        ("celery -A workers.app worker --pool prefork", True),
        ("celery -A workers.app worker -P solo -n prefork", False),
    ],
)
def test_a_prefork_pool_is_had_by_asking(line: str, asked: bool) -> None:
    assert asks_for_prefork(line.split()) is asked


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ([ID], UUID(ID)),
        ([ID, "more"], UUID(ID)),
        ([], None),
        (["; DROP TABLE jobs"], None),
        ([None], None),
        ([{"id": ID}], None),
        ([7], None),
    ],
)
def test_only_the_id_in_a_message_is_read(message: list[object], found: UUID | None) -> None:
    assert job_id_in(message) == found


def test_a_message_without_an_id_is_dropped_with_a_line_that_does_not_quote_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        take("the secret", key="the secret")
    assert caplog.messages == ["message dropped: it holds no job id"]


def test_the_app_takes_threads_and_fetches_a_message_when_one_is_free() -> None:
    assert (app.conf.worker_pool, app.conf.worker_disable_prefetch) == ("threads", True)
    assert app.conf.accept_content == ["json"]


def test_calls_at_once_fit_the_pool_unless_the_setting_says() -> None:
    assert calls_at_once("threads", None) == 500
    assert calls_at_once("prefork", load(WorkerSettings, **URLS)) == os.cpu_count()
    assert calls_at_once("prefork", load(WorkerSettings, **URLS, RINGBACK_WORKER_CONCURRENCY=3)) == 3


def test_names_in_the_settings_are_separated_by_commas() -> None:
    settings = load(WorkerSettings, **URLS, RINGBACK_TOOL_MODULES=" a.b, c ,", RINGBACK_WORKER_QUEUES="x")
    assert (settings.tool_modules, settings.queues) == (("a.b", "c"), ("x",))
    assert load(WorkerSettings, **URLS).tool_modules == ("workers.tools",)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"RINGBACK_WORKER_CONCURRENCY": "0"}, "RINGBACK_WORKER_CONCURRENCY"),
        ({"RINGBACK_WORKER_DRAIN_SECONDS": "-1"}, "DRAIN_SECONDS"),
    ],
)
def test_a_bad_setting_is_named(given: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load(WorkerSettings, **URLS, **given)
