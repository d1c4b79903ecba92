"""Settings are accepted, corrected, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.config.settings import Stores, load, postgres_url
from ringback.errors import ConfigurationError


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_database_url_gets_the_driver_that_is_used(scheme: str) -> None:
    assert postgres_url(f"{scheme}://u:p@h:5432/d?sslmode=require") == (
        "postgresql+psycopg://u:p@h:5432/d?sslmode=require"
    )


@pytest.mark.parametrize("url", ["", "h/d", "mysql://h/d", "postgresql+asyncpg://h/d", "postgresql:/h/d"])
def test_another_database_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must look like postgresql://"):
        postgres_url(url)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/d")
    monkeypatch.setenv("REDIS_URL", "redis://h")
    assert load(Stores).redis_url == "redis://h:6379/0"


def test_a_dot_env_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://h")
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://file/d\nSOMETHING_ELSE=1\n", encoding="utf-8")
    assert load(Stores).database_url == "postgresql+psycopg://file/d"
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/d")
    assert load(Stores).database_url == "postgresql+psycopg://environment/d"


def test_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment/d")
    stores = load(Stores, DATABASE_URL="postgresql://given/d", REDIS_URL="redis://h")
    assert stores.database_url == "postgresql+psycopg://given/d"


def test_each_missing_variable_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(Stores)
    assert str(raised.value) == (
        "DATABASE_URL is not set: set it in the environment or in .env (see .env.example); "
        "REDIS_URL is not set: set it in the environment or in .env (see .env.example)"
    )


def test_a_bad_value_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(Stores, DATABASE_URL="mysql://u:hunter2@h/d", REDIS_URL="redis://h")
    assert str(raised.value) == ("DATABASE_URL is not usable: must look like postgresql://user:password@host:5432/name")


def test_neither_url_is_shown() -> None:
    stores = load(Stores, DATABASE_URL="postgresql://u:hunter2@h/d", REDIS_URL="redis://:hunter2@h")
    assert "hunter2" not in f"{stores!r} {stores}"
