"""`env:NAME` in a tool file: it names a secret, which is in the environment of the worker (or its `.env`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from dotenv import dotenv_values

from ringback.errors import ConfigurationError
from workers.remote_tools.tool_files import address

_NAMED = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")


def worker_environment() -> dict[str, str]:
    """Return the environment, and what `.env` adds to it: as every setting is read."""
    return {**{name: value for name, value in dotenv_values(".env").items() if value is not None}, **os.environ}


def substitute(where: str, values: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the values with each `env:NAME` replaced; the rest of a value stays, as in `Bearer env:TOKEN`.

    Raises:
        ConfigurationError: a variable is not set, or empty; `where` begins the sentence.
    """

    def value_of(match: re.Match[str]) -> str:
        if not environment.get(match[1]):
            raise ConfigurationError(f"{where}: {match[1]} is not set; set it in the environment of the worker")
        return environment[match[1]]

    return {name: _NAMED.sub(value_of, value) for name, value in values.items()}


def substitute_address(where: str, text: str, environment: Mapping[str, str]) -> str:
    """Return an address, in which the environment may be named too: it differs between machines, not between files.

    Raises:
        ConfigurationError: it is not set, or is no address.
    """
    found = substitute(where, {"": text}, environment)[""]
    try:
        return address(found)
    except ValueError as problem:
        raise ConfigurationError(f"{where}: {text} {problem}") from None
