"""Reader of DATABASE_URL, for commands that need no other setting.

A command such as `ringback jobs list` is done in half a second of CPU, and the import of the settings classes takes a
fifth of that.
"""

from __future__ import annotations

import os

from dotenv import dotenv_values

from ringback.config.setting_names import DOTENV, warn_of_unknown
from ringback.errors import ConfigurationError
from ringback.postgres.url import postgres_url

NAME = "DATABASE_URL"


def database_url() -> str:
    """Return DATABASE_URL from the environment, else from `.env`, as the settings classes read it.

    Raises:
        ConfigurationError: it is missing or cannot be used; the text says what it must be, and does not show it.
    """
    warn_of_unknown()
    given = {name.upper(): value for name, value in {**dotenv_values(DOTENV), **os.environ}.items()}
    url = given.get(NAME)
    if url is None:
        raise ConfigurationError(missing(NAME))
    try:
        return postgres_url(url)
    except ValueError as problem:
        raise ConfigurationError(unusable(NAME, str(problem))) from None


def missing(name: str) -> str:
    """Return the sentence about a setting that is not set."""
    return f"{name} is not set: set it in the environment or in .env (see .env.example)"


def unusable(name: str, reason: str) -> str:
    """Return the sentence about a setting whose value cannot be used."""
    return f"{name} is not usable: {reason[:1].lower()}{reason[1:]}"
