"""What both sides of the line stand on, and what a tool author imports.

    from ringback import Call, tool

`tools`, `declaring`, `manners` and `schema` turn a typed function into something a model can call; `jobs` and
`outcomes` say what may happen to a call; `tables` and `statements` say it in SQL; `broker` and `doorbell` carry ids
between processes; `settings` and `agents` read configuration; `errors` draws the exception tree. Nothing here opens a
connection or runs a loop: the gateway does that in its async way and the workers in their threaded one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringback.errors import ToolError
    from ringback.tools.call import Call
    from ringback.tools.decorator import Breaker, Tool, tool

__all__ = ["Breaker", "Call", "Tool", "ToolError", "tool"]

_HOMES = {
    "Breaker": "tools.decorator",
    "Call": "tools.call",
    "Tool": "tools.decorator",
    "ToolError": "errors",
    "tool": "tools.decorator",
}
"""The module of each name. It is imported on first use: a command that declares no tool loads no pydantic."""


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562).

    Raises:
        AttributeError: the package has no such name.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'ringback' has no attribute {name!r}")
    value = getattr(import_module(f"ringback.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
