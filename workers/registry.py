"""Which tools this worker has: those that RINGBACK_TOOL_MODULES declare, and those that RINGBACK_TOOL_FILES name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

from ringback.errors import ConfigurationError, DeclarationError
from ringback.tools import Tool
from workers.elsewhere.loading import load

SETTING = "RINGBACK_TOOL_MODULES"


def load_tools(names: Iterable[str], files: Iterable[str] = ()) -> dict[str, Tool]:
    """Import the modules, and of a package all that is in it; read the files; return their tools by name.

    Raises:
        ConfigurationError: a module cannot be imported, declares a name that another has, or none has any tool.
        DeclarationError: a tool cannot be offered to a model.
    """
    names = tuple(names)
    tools: dict[str, Tool] = {}
    for name in names:
        for module in _modules(name):
            for found in _declared(module):
                _add(tools, found)
    for found in load(files):
        _add(tools, found)
    if not tools:
        raise ConfigurationError(f"{SETTING} ({', '.join(names)}) holds no tool: decorate a function with @tool.")
    return tools


def queues_of(tools: Iterable[Tool]) -> list[str]:
    """Every queue that these tools name, in order."""
    return sorted({tool.announcement.queue for tool in tools})


def served_on(tools: Iterable[Tool], queues: Iterable[str]) -> list[Tool]:
    """The tools whose jobs arrive on these queues: what the worker may announce."""
    wanted = set(queues)
    return [tool for tool in tools if tool.announcement.queue in wanted]


def _modules(name: str) -> Iterator[ModuleType]:
    module = _import(name)
    yield module
    for _, inner, _ in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        yield _import(inner)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except DeclarationError:
        raise
    except Exception as problem:
        raise ConfigurationError(
            f"{SETTING} names {name}, which cannot be imported: {type(problem).__name__}: {problem}"
        ) from problem


def _declared(module: ModuleType) -> Iterator[Tool]:
    return (value for value in vars(module).values() if isinstance(value, Tool))


def _add(tools: dict[str, Tool], new: Tool) -> None:
    """One tool may be seen from several modules that import it; two of one name are a mistake."""
    old = tools.setdefault(new.name, new)
    if old is not new:
        raise ConfigurationError(
            f"{old.function.__module__} and {new.function.__module__} both declare a tool named {new.name}: "
            "rename one, or pass name=… to its @tool."
        )
