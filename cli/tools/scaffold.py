"""`ringback new-tool`: writes a module with a tool, and a test of what a caller hears. Both run unchanged."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from cli.tools.templates import MODULE, NEXT, TEST
from ringback.errors import ConfigurationError
from ringback.tools.declaration import OURS

LONGEST = 64
"""Characters; the Realtime API's limit for a function's name."""
NAME = re.compile(r"[a-z][a-z0-9_]*")
TAKEN = frozenset({"asyncio", "call", "converse", "fake_call", "pytest", "talk", "tool"})
"""Names that both files use for other objects."""


def write(name: str, folder: Path) -> str:
    """Write both files, and return the next steps.

    Raises:
        ConfigurationError: the name is invalid or taken; no file was written.
    """
    _check(name)
    module, test = folder / f"{name}.py", folder / f"test_{name}.py"
    for path in (module, test):
        if path.exists():
            raise ConfigurationError(f"{path} exists already, and is left unchanged; choose another name")
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise ConfigurationError(f"a module {name} exists already, which a file of that name would hide")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _create(module, MODULE.format(name=name))
        _create(test, TEST.format(name=name))
    except OSError as problem:
        raise ConfigurationError(f"{folder} cannot be written into: {problem.strerror}") from None
    there = "" if folder == Path() else f"  cd {folder}\n"
    return NEXT.format(name=name, module=module, test=test, there=there)


def _check(name: str) -> None:
    if keyword.iskeyword(name):
        raise ConfigurationError(f"{name} is a Python keyword; choose another name, such as {name}_it")
    if len(name) > LONGEST:
        raise ConfigurationError(f"a name of {len(name)} characters is too long: use at most {LONGEST}")
    if name in TAKEN or name.startswith("test_"):
        raise ConfigurationError(f"{name} has another meaning in the test; choose another name")
    if not NAME.fullmatch(name):
        hint = re.sub(r"\W+", "_", name).strip("_").lower()
        better = f", such as {hint}" if NAME.fullmatch(hint) and not keyword.iskeyword(hint) else ""
        raise ConfigurationError(f"{name!r} is no name for a function: use a-z, 0-9 and _, a letter first{better}")
    if name in OURS:
        raise ConfigurationError(f"{name} is a function of the gateway itself; choose another name")


def _create(path: Path, text: str) -> None:
    with path.open("x", encoding="utf-8") as file:  # "x": never over a file that was created meanwhile
        file.write(text)
