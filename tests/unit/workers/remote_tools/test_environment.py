"""A secret is taken from the variable that the file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.errors import ConfigurationError
from workers.remote_tools.environment import substitute, substitute_address, worker_environment


@pytest.mark.parametrize(
    ("value", "told"),
    [("env:TOKEN", "s3"), ("Bearer env:TOKEN", "Bearer s3"), ("plain", "plain"), ("env:TOKEN,env:OTHER", "s3,x")],
)
def test_what_is_named_is_filled_in_and_the_rest_stays(value: str, told: str) -> None:
    assert substitute("f", {"A": value}, {"TOKEN": "s3", "OTHER": "x"}) == {"A": told}


@pytest.mark.parametrize("environment", [{}, {"TOKEN": ""}])
def test_what_is_not_set_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"^tools.toml: \[mcp.x\] env: TOKEN is not set; set it"):
        substitute("tools.toml: [mcp.x] env", {"A": "env:TOKEN"}, environment)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("TOKEN_OF_A_TEST=file\nOTHER_OF_A_TEST=file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN_OF_A_TEST", "environment")
    found = worker_environment()
    assert (found["TOKEN_OF_A_TEST"], found["OTHER_OF_A_TEST"]) == ("environment", "file")


@pytest.mark.parametrize("text", ["https://shop.example/v2", "env:SHOP"])
def test_an_address_stands_in_the_file_or_in_the_environment(text: str) -> None:
    assert substitute_address("f", text, {"SHOP": "https://shop.example/v2"}) == "https://shop.example/v2"


def test_an_address_of_the_environment_that_is_none_is_named_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as wrong:
        substitute_address("tools.toml: [mcp.x] url", "env:SHOP", {"SHOP": "https://me:s3cret@x/"})
    assert str(wrong.value).startswith("tools.toml: [mcp.x] url: env:SHOP must have no password")
    assert "s3cret" not in str(wrong.value)
