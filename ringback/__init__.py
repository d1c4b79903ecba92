"""Public API of a tool author, and the code that gateway and workers share.

    from ringback import Call, tool

No module here opens a connection or runs a loop: the gateway does that on an event loop and the workers in threads.

    tools       `@tool`: turns a typed function into a tool that a model can call
    jobs        states, moves and outcomes of a call
    statements  every SQL statement; tables: the tables; postgres: URL, connections, migrations
    redis       the broker, and the notifications between processes
    leases      how long a process holds what it runs; sweeper: what any process does for all of them
    agents      agent files
    config      settings, logs, checks before production
    history     documents and pages of the history API
    privacy     redaction and encryption
    usage       budgets, prices, reports
    errors      the exception tree
    testing     a conversation with a tool of yours, in a test
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
