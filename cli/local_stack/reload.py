"""`ringback up --watch`: a new worker for each change of a tool's file.

The new worker starts beside the old one, which ends once the new one serves. So no call waits for the change, and if a
file does not load, the old worker goes on. Agents need none of this: the gateway reads their files itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from cli.local_stack.process_group import ProcessError
from cli.local_stack.stack import Stack, worker_of
from ringback.errors import ConfigurationError

if TYPE_CHECKING:
    from workers.settings import ToolSettings

SUFFIXES = frozenset({".py", ".toml", ".yaml", ".yml", ".json"})
"""Of the files that tools are declared in: modules, tool files, and the descriptions of HTTP APIs that those name."""
HAS_REGISTERED = re.compile(r"\bworker registered \(")
"""What a worker logs once its tools stand in Postgres: the gateway offers those of the newest worker."""
LOOK_MS = 500
"""Between two looks whether a package has got another folder."""
UNSEEN = ("__pycache__", ".")
"""How the names of folders without tools begin."""


def reload_tools(stack: Stack, tell: Callable[[str], None]) -> None:
    """Watch in a thread that ends with the process.

    Args:
        tell: takes a sentence for the person at the terminal.

    Raises:
        ConfigurationError: the settings name tools that are not to be found, or `watchfiles` is not installed.
    """
    if find_spec("watchfiles") is None:
        raise ConfigurationError("--watch needs the package watchfiles: install ringback[embedded]")
    from ringback.config.settings import load
    from workers.settings import ToolSettings

    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as the worker finds its tools
    args = (stack, load(ToolSettings), tell)
    Thread(target=_watch, args=args, name="tool-reload", daemon=True).start()


def folders_of(settings: ToolSettings) -> set[Path]:
    """Return the folders whose files the tools come from; a package may have got another one since the last look."""
    folders = {Path(file).resolve().parent for file in settings.tool_files}
    for name in settings.tool_modules:
        folders.update(_folders_of(name))
    return folders


def is_of_tools(path: str) -> bool:
    """Return whether a change of this file may change a tool."""
    return Path(path).suffix in SUFFIXES


def _folders_of(module: str) -> Iterator[Path]:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        return  # the worker has said so already, or it is a namespace without a file of its own
    folder = Path(spec.origin).resolve().parent
    yield folder
    if spec.submodule_search_locations:
        yield from (each for each in folder.rglob("*") if each.is_dir() and not each.name.startswith(UNSEEN))


def _watch(stack: Stack, settings: ToolSettings, tell: Callable[[str], None]) -> None:
    names = (f"worker-{number}" for number in count(2))
    serving = "worker"
    while True:
        folders = folders_of(settings)
        changes = _changes(folders)
        first = next(changes)  # from here on no change is missed
        tell(f"Watching {', '.join(sorted(map(str, folders)))}: save a tool's file, and a new worker takes over.\n")
        for paths in chain([first], changes):
            if paths:
                serving = _replace(stack, serving, next(names), paths, tell)
            if folders_of(settings) != folders:
                break


def _changes(folders: set[Path]) -> Iterator[set[str]]:
    """Yield the files that changed since the last look; at least twice a second, and then none."""
    from watchfiles import watch

    looks = watch(
        *folders,
        watch_filter=lambda _, path: is_of_tools(path),
        recursive=False,
        raise_interrupt=False,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    )
    return ({path for _, path in look} for look in looks)


def _replace(stack: Stack, old: str, new: str, paths: Iterable[str], tell: Callable[[str], None]) -> str:
    """Start a worker, end the one before; return the name of the one that serves."""
    changed = ", ".join(sorted({Path(path).name for path in paths}))
    try:
        stack.processes.start(worker_of(stack, new, ready=HAS_REGISTERED))
    except ProcessError as problem:
        tell(f"[red]{changed} changed, and the tools do not load; the worker before goes on.[/red] {problem}")
        return old
    stack.processes.end(old)
    tell(f"{changed} changed: {new} serves, and {old} has ended.")
    return new
