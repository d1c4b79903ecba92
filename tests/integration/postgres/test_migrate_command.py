"""`ringback migrate` says which revision the database has, and not which one was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from cli.main import main
from ringback.postgres import migrate
from tests.servers import own_database


@pytest.fixture
def empty(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with own_database(database_url, "ringback_migrate") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        yield url


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ringback", "migrate", *words])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_it_goes_up_and_down_again(
    empty: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch) == 0
    assert migrate.revision(empty) is not None
    assert capsys.readouterr().out == f"The database is at {migrate.revision(empty)}.\n"
    assert run(monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"object": "migration", "revision": migrate.revision(empty)}
    assert run(monkeypatch, "--down-to", "base") == 0
    assert migrate.revision(empty) is None
    assert capsys.readouterr().out == "The database holds no table of ringback's.\n"


def test_a_revision_that_does_not_exist_is_one_sentence(
    empty: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--down-to", "nowhere") == 2
    said = capsys.readouterr().err
    assert said.startswith("ringback: --down-to nowhere is no revision")
    assert said.count("\n") == 1
    assert migrate.revision(empty) is None
