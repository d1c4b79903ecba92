"""DATABASE_URL for commands that need no other setting is what the settings classes read, or the same sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.config.database_url import database_url
from ringback.config.settings import Stores, load
from ringback.errors import ConfigurationError

FILE, ENVIRONMENT = "postgresql://file/d", "postgresql://environment/d"


@pytest.mark.parametrize(
    ("environment", "file"),
    [
        ({"DATABASE_URL": ENVIRONMENT}, ""),
        ({"database_url": ENVIRONMENT}, ""),
        ({}, f"DATABASE_URL={FILE}\n"),
        ({}, f"export database_url='{FILE}'\n"),
        ({"DATABASE_URL": ENVIRONMENT}, f"DATABASE_URL={FILE}\n"),
        ({"database_url": ENVIRONMENT}, f"DATABASE_URL={FILE}\n"),
        ({"NAME": "d"}, "DATABASE_URL=postgresql://file/${NAME}\n"),
        ({}, ""),
        ({}, "DATABASE_URL\n"),
        ({}, "DATABASE_URL=\n"),
        ({"DATABASE_URL": ""}, f"DATABASE_URL={FILE}\n"),
        ({"DATABASE_URL": "mysql://u:hunter2@h/d"}, ""),
    ],
)
def test_both_readers_agree(
    environment: dict[str, str], file: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / ".env").write_text(file, encoding="utf-8")
    for name, value in {**environment, "REDIS_URL": "redis://h"}.items():
        monkeypatch.setenv(name, value)
    assert read_alone() == read_with_the_others()


def read_alone() -> str:
    try:
        return database_url()
    except ConfigurationError as problem:
        return str(problem)


def read_with_the_others() -> str:
    try:
        return load(Stores).database_url
    except ConfigurationError as problem:
        return str(problem)
