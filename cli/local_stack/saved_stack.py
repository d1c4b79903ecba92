"""Secrets and ports that stay the same from one `ringback up` to the next.

They are in one file of the data folder, which only its owner can read. Without a folder they are new each time.
"""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.local_stack.process_group import free_port

FILE = "kept.json"
LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class SavedStack:
    """Values by name, created at their first use.

    Args:
        folder: the file's folder; None: no value is saved.
    """

    folder: Path | None

    def secret(self, name: str, prefix: str = "") -> str:
        """Return a secret of 24 random bytes, as text that is valid in a URL and a header."""
        kept = self._read().get(name)
        if isinstance(kept, str) and kept:
            return kept
        made = f"{prefix}{secrets.token_urlsafe(24)}"
        self._keep(name, made)
        return made

    def port(self, name: str) -> int:
        """Return a free loopback port: the saved one, or another if that is taken."""
        kept = self._read().get(name)
        return kept if isinstance(kept, int) and is_free(kept) else self.another_port(name)

    def another_port(self, name: str) -> int:
        """Return a free loopback port, and save it."""
        port = free_port()
        self._keep(name, port)
        return port

    def _read(self) -> dict[str, Any]:
        """Return the saved values; an unreadable or invalid file counts as empty."""
        with suppress(OSError, ValueError):
            if self.folder is not None and isinstance(kept := json.loads((self.folder / FILE).read_text()), dict):
                return kept
        return {}

    def _keep(self, name: str, value: str | int) -> None:
        if self.folder is not None:
            new = self.folder / f"{FILE}.new"
            new.unlink(missing_ok=True)
            new.touch(0o600, exist_ok=False)
            new.write_text(json.dumps({**self._read(), name: value}, indent=2))
            new.replace(self.folder / FILE)


def is_free(port: int) -> bool:
    """Return whether a server can listen on this port of loopback now."""
    if not 0 < port <= LAST_PORT:
        return False
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False
