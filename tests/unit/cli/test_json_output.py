"""Every command that prints a result takes `--json`, so that no script has to read a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from cli.main import program

SERVER = "it serves, or plays a scene, until it ends"
ONE_VALUE = "its standard output is one value, which a script takes as it is"
WITHOUT = {
    "demo": SERVER,
    "up": SERVER,
    "gateway": SERVER,
    "worker": SERVER,
    "simulator": SERVER,
    "data-key": ONE_VALUE,
    "token static": ONE_VALUE,
    "tools schema": "it prints JSON in any case",
    "tools run": "it prints what the model would read; its --json takes the arguments",
    "new-tool": "its result is two files, named after its argument",
}
"""Commands without it, and why."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(program())))


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_prints_can_be_had_as_json(name: str) -> None:
    switches = {option for each in COMMANDS[name].params if getattr(each, "is_flag", False) for option in each.opts}
    assert ("--json" in switches) != (name in WITHOUT)


def test_each_exception_is_a_command() -> None:
    assert WITHOUT.keys() <= COMMANDS.keys()
    assert len(COMMANDS) > len(WITHOUT) + 30
