"""The tools that RINGBACK_TOOL_MODULES and RINGBACK_TOOL_FILES name, as a worker has them."""

from __future__ import annotations

import sys
from pathlib import Path

from ringback.config.settings import load
from ringback.errors import ConfigurationError
from ringback.tools.decorator import Tool
from workers.settings import ToolSettings
from workers.tool_registry import load_tools


def declared_tools() -> dict[str, Tool]:
    """Every tool, by name; ConfigurationError where a module or a file is wrong, or none has any."""
    here = str(Path.cwd())
    if here not in sys.path:  # as for `celery` and `python -m`: a tool's module stands where the command is typed
        sys.path.insert(0, here)
    settings = load(ToolSettings)
    return load_tools(settings.tool_modules, settings.tool_files)


def declared_tool(name: str) -> Tool:
    """The one of that name; ConfigurationError names those that there are."""
    tools = declared_tools()
    if name not in tools:
        known = ", ".join(sorted(tools))
        raise ConfigurationError(f"there is no tool {name!r}; there are {known}")
    return tools[name]
