"""A secret is taken from where it is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.errors import ConfigurationError
from workers.elsewhere.environment import filled, surroundings


@pytest.mark.parametrize(
    ("value", "told"),
    [("env:TOKEN", "s3"), ("Bearer env:TOKEN", "Bearer s3"), ("plain", "plain"), ("env:TOKEN,env:OTHER", "s3,x")],
)
def test_what_is_named_is_filled_in_and_the_rest_stays(value: str, told: str) -> None:
    assert filled("f", {"A": value}, {"TOKEN": "s3", "OTHER": "x"}) == {"A": told}


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}])
def test_what_is_not_set_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"^tools.toml: \[mcp.x\] env: TOKEN is not set; set it"):
        filled("tools.toml: [mcp.x] env", {"A": "env:TOKEN"}, environment)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("TOKEN_OF_A_TEST=file\nOTHER_OF_A_TEST=file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN_OF_A_TEST", "environment")
    found = surroundings()
    assert (found["TOKEN_OF_A_TEST"], found["OTHER_OF_A_TEST"]) == ("environment", "file")
