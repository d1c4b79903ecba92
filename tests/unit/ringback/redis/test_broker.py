"""The broker is the one of Ringback's settings, even if Celery's environment names another."""

from __future__ import annotations

import pytest

from ringback.redis.broker import IGNORED_VARIABLES, ignored, make_app

OURS = "redis://ours:6379/0"


@pytest.fixture(autouse=True)
def anothers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set variables as in a `.env` that is shared with another Celery service."""
    for name in IGNORED_VARIABLES:
        monkeypatch.setenv(name, "amqp://guest:guest@theirs:5672//" if name.endswith("URL") else "a_module_of_theirs")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "db+postgresql://theirs/results")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "theirs.settings")


def test_the_environment_changes_neither_broker_nor_backend_nor_configuration() -> None:
    app = make_app(OURS)
    for connection in (app.connection_for_read(), app.connection_for_write()):
        assert (connection.hostname, connection.transport_cls) == ("ours", "redis")
    assert type(app.backend).__name__ == "DisabledBackend"
    assert app.conf.task_ignore_result is True


def test_variables_that_count_for_nothing_are_told_in_one_sentence() -> None:
    assert ignored({}) == ""
    assert ignored({"CELERY_BROKER_URL": "amqp://guest:guest@theirs//"}) == (
        "CELERY_BROKER_URL is set and ignored: Ringback's messages go through the Redis at REDIS_URL"
    )
    assert ignored(dict.fromkeys(IGNORED_VARIABLES, "x")).startswith(", ".join(IGNORED_VARIABLES) + " are set")
