"""A worker that writes down which of its hooks Celery and kombu call: `python -m … FILE`, then Celery's own words."""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def watch(place: str, file: Path) -> None:
    """Have each call of it written down, before it is carried out."""
    module, _, names = place.partition(":")
    owner: Any = import_module(module)
    *path, name = names.split(".")
    for each in path:
        owner = getattr(owner, each)
    hook = getattr(owner, name)

    @functools.wraps(hook)
    def told(*arguments: Any, **named: Any) -> Any:
        with file.open("a", encoding="utf-8") as calls:
            calls.write(f"{place}\n")
        return hook(*arguments, **named)

    setattr(owner, name, told)


def main() -> None:
    file = Path(sys.argv.pop(1))
    from workers.broker.celery_hooks import OVERRIDDEN

    for hook in OVERRIDDEN:
        watch(hook.ours, file)
    from celery.__main__ import main as celery

    celery()


if __name__ == "__main__":
    main()
