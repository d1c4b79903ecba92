"""A misspelt setting is reported, and the list of names is the one that the settings classes read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from ringback.config.database_url import database_url
from ringback.config.setting_names import BESIDE, NAMES, PREFIX, unknown, warn_of_unknown
from ringback.config.settings import Stores
from workers.settings import ToolSettings, WorkerSettings

ALL_SETTINGS: tuple[type[BaseSettings], ...] = (Stores, GatewaySettings, WorkerSettings, ToolSettings)


def test_the_names_are_those_that_the_settings_classes_read() -> None:
    read = {str(field.alias) for each in ALL_SETTINGS for field in each.model_fields.values()}
    assert {name for name in read if name.startswith(PREFIX)} == NAMES


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("RINGBACK_TOOL_MODULE", "did you mean RINGBACK_TOOL_MODULES?"),
        ("RINGBACK_DATABASE_POOL_SIZE", "did you mean RINGBACK_DATABASE_POOL?"),
        ("RINGBACK_WORKERS_CONCURRENCY", "did you mean RINGBACK_WORKER_CONCURRENCY?"),
        ("RINGBACK_COLOUR", "docs/configuration.md lists them all"),
    ],
)
def test_a_name_that_is_no_setting_is_told_with_the_nearest(name: str, sentence: str) -> None:
    (told,) = unknown([name, "PATH", "RINGBACK_PORT"])
    assert told.startswith(f"{name} is no setting of Ringback")
    assert sentence in told


@pytest.mark.parametrize(
    "name",
    [
        *("RINGBACK_SERVICE_HOST", "RINGBACK_SERVICE_PORT_HTTP", "RINGBACK_PORT_8080_TCP_ADDR"),
        *("RINGBACK_TEST_LEDGER", *sorted(BESIDE), "ringback_port", "MY_RINGBACK_PORT"),
    ],
)
def test_what_others_set_is_not_told(name: str) -> None:
    assert unknown([name]) == []


def test_each_process_warns_once_of_its_environment_and_its_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("RINGBACK_AGENT=here\nDATABASE_URL=postgresql://nobody@127.0.0.1:1/none\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RINGBACK_HOTS", "127.0.0.1")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    warn_of_unknown.cache_clear()
    with caplog.at_level(logging.WARNING):
        database_url()
        database_url()
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == ["RINGBACK_AGENT", "RINGBACK_HOTS"]
    assert "did you mean RINGBACK_AGENTS?" in caplog.text
    assert "did you mean RINGBACK_HOST?" in caplog.text
