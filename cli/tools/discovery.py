"""Loads the tools that RINGBACK_TOOL_MODULES and RINGBACK_TOOL_FILES name, as a worker does."""

from __future__ import annotations

import sys
from pathlib import Path

from ringback.config.settings import load
from ringback.errors import ConfigurationError
from ringback.tools.decorator import Tool
from workers.settings import ToolSettings
from workers.tool_registry import load_tools


def declared_tools() -> dict[str, Tool]:
    """Return every tool by name; raise ConfigurationError if a module or a file is invalid, or none has a tool."""
    here = str(Path.cwd())
    if here not in sys.path:  # as for `celery` and `python -m`: a tool's module is in the working directory
        sys.path.insert(0, here)
    settings = load(ToolSettings)
    return load_tools(settings.tool_modules, settings.tool_files)


def declared_tool(name: str) -> Tool:
    """Return the tool of that name; otherwise the ConfigurationError lists the known names."""
    tools = declared_tools()
    if name not in tools:
        known = ", ".join(sorted(tools))
        raise ConfigurationError(f"there is no tool {name!r}; there are {known}")
    return tools[name]
