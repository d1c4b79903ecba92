"""The tools that the modules in RINGBACK_TOOL_MODULES declare, imported here, as a worker imports them."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ringback.errors import ConfigurationError
from ringback.settings import load
from ringback.tools import Tool
from workers.registry import load_tools
from workers.settings import SHIPPED_TOOLS, Names


class ToolModules(BaseSettings):
    """Of a worker's settings, the one that needs no server."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    tool_modules: Names = Field((SHIPPED_TOOLS,), alias="RINGBACK_TOOL_MODULES", min_length=1)


def declared_tools() -> dict[str, Tool]:
    """Every tool, by name; ConfigurationError where a module cannot be imported, or none has any."""
    here = str(Path.cwd())
    if here not in sys.path:  # as for `celery` and `python -m`: a tool's module stands where the command is typed
        sys.path.insert(0, here)
    return load_tools(load(ToolModules).tool_modules)


def declared_tool(name: str) -> Tool:
    """The one of that name; ConfigurationError names those that there are."""
    tools = declared_tools()
    if name not in tools:
        known = ", ".join(sorted(tools))
        raise ConfigurationError(f"there is no tool {name!r}; RINGBACK_TOOL_MODULES declares {known}")
    return tools[name]
