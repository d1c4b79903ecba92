"""Tools of this worker: those that RINGBACK_TOOL_MODULES declare, and those that RINGBACK_TOOL_FILES name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

import ringback
from ringback.errors import ConfigurationError, DeclarationError
from ringback.privacy.row_privacy import NoKey, RowPrivacy
from ringback.tools.decorator import DECLARED, Tool

SETTING = "RINGBACK_TOOL_MODULES"
FRAMES_OF_OURS = 2
"""Frames of a traceback: the import here comes first, the module's next. A module that does not exist has none."""


def load_tools(names: Iterable[str], files: Iterable[str] = ()) -> dict[str, Tool]:
    """Import the modules, and all modules of a package; read the files; return their tools by name.

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
    if files := tuple(files):
        from workers.remote_tools.loader import load  # loads httpx, a tenth of a worker's start

        for found in load(files):
            _add(tools, found)
    if not tools:
        where = f"{SETTING} ({', '.join(names)})" if names else f"{SETTING} names no module, so it"
        raise ConfigurationError(f"{where} holds no tool: decorate a function with @tool.")
    return tools


def queues_of(tools: Iterable[Tool]) -> list[str]:
    """Return every queue that these tools name, in order."""
    return sorted({tool.announcement.queue for tool in tools})


def refuse_without_key(tools: Iterable[Tool], row_privacy: RowPrivacy) -> None:
    """Raise NoKey, a ConfigurationError, if a tool asks for redaction and there is no key to encrypt with."""
    for tool in tools:
        redact = tool.announcement.behavior.redact
        if redact and row_privacy.cipher is None:
            raise NoKey(f"tool {tool.announcement.name} asks for {', '.join(redact)} to be redacted")


def _modules(name: str) -> Iterator[ModuleType]:
    module = _import(name)
    yield module
    for _, inner, _ in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        yield _import(inner)


def _import(name: str) -> ModuleType:
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{SETTING} names {name}: write what Python imports, such as my_tools for my_tools.py."
        )
    try:
        return importlib.import_module(name)
    except DeclarationError as problem:
        raise DeclarationError(f"{_author_of(problem)}{problem}") from problem
    except (Exception, SystemExit) as problem:  # a module that ends the process would end it without a word
        raise ConfigurationError(
            f"{SETTING} names {name}, which cannot be imported: {type(problem).__name__}: {problem}{_line(problem)}"
        ) from problem


def _line(problem: BaseException) -> str:
    """Return the line of the author's file that raised the problem. Python names it itself for a SyntaxError."""
    frames = [frame for frame in extract_tb(problem.__traceback__) if "importlib" not in frame.filename]
    if isinstance(problem, SyntaxError) or len(frames) < FRAMES_OF_OURS:
        return ""
    return f" ({frames[1].filename}, line {frames[1].lineno})"


def _author_of(problem: DeclarationError) -> str:
    """Return the line of the declaration, `orders.py:12: `: the last frame outside `ringback`."""
    ours = Path(ringback.__file__).parent
    frames = [frame for frame in extract_tb(problem.__traceback__) if ours not in Path(frame.filename).parents]
    return f"{_place(frames[-1].filename, frames[-1].lineno)}: " if frames else ""


def _place(file: str, line: int | None) -> str:
    path, here = Path(file), Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{line}"


def _declared(module: ModuleType) -> list[Tool]:
    names = vars(module)
    found = [value for value in names.values() if isinstance(value, Tool)]
    for (where, name), tool in DECLARED.items():
        shown = names.get(name)
        is_hidden = shown is not None and shown is not tool.function and not isinstance(shown, Tool)
        if where == module.__name__ and is_hidden and not any(one is tool for one in found):
            code = inspect.unwrap(tool.function).__code__
            raise DeclarationError(
                f"{_place(code.co_filename, code.co_firstlineno)}: {tool.name}: what stands above @tool hides the "
                "tool; write @tool above the other decorators."
            )
    return found


def _add(tools: dict[str, Tool], new: Tool) -> None:
    """Add a tool. Several modules may import the same tool; two tools of one name are an error."""
    old = tools.setdefault(new.name, new)
    if old is not new:
        first, second = old.function.__module__, new.function.__module__
        both = f"{first} and {second} both declare a tool" if first != second else f"{first} declares two tools"
        raise ConfigurationError(f"{both} named {new.name}: rename one, or pass name=… to its @tool.")
