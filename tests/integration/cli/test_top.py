"""`ringback top` on a terminal: a real pseudo terminal, which is as it was before once the screen is left."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import psycopg
import pytest
from psycopg import sql

from ringback.statements import processes
from ringback.tools.spec import ToolSpec
from tests.caller import PATIENCE
from tests.integration.statements.test_history import line_on
from tests.line import ROOT
from tests.servers import in_dialect

ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROWS, COLUMNS = 30, 160


class Terminal:
    """A program on a terminal of its own: what it writes, and what is typed."""

    def __init__(self, database: str, *words: str) -> None:
        self._keyboard, self.screen = pty.openpty()
        self.written = ""
        self.resize(COLUMNS)
        self.before = termios.tcgetattr(self.screen)
        env = {**os.environ, "DATABASE_URL": database, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", *words],
            env={name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")},
            stdin=self.screen,
            stdout=self.screen,
            stderr=self.screen,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # Ctrl-C reaches what owns the terminal
        )

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def reads(self, words: str) -> str:
        """Wait until these words are on the screen; return what was written since the last time."""
        give_up = monotonic() + PATIENCE
        while words not in ESCAPES.sub("", self.written):
            ready, _, _ = select.select([self._keyboard], [], [], max(0.0, give_up - monotonic()))
            assert ready, f"{words!r} is not in {self.written[-500:]!r}"
            self.written += os.read(self._keyboard, 65_536).decode(errors="replace")
        seen, self.written = self.written, ""
        return seen

    def ends(self) -> str:
        """Wait until the program has ended, and return the rest of what it wrote."""
        assert self.process.wait(PATIENCE) == 0
        while select.select([self._keyboard], [], [], 0)[0]:
            self.written += os.read(self._keyboard, 65_536).decode(errors="replace")
        return self.written

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._keyboard)
        os.close(self.screen)


@contextmanager
def top(database: str) -> Iterator[Terminal]:
    terminal = Terminal(database, "top", "--every", "0.5")
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.parametrize("keys", [b"q", b"\x03"], ids=["q", "Ctrl-C"])
def test_it_follows_the_terminals_size_and_leaves_it_as_it_was(database: str, keys: bytes) -> None:
    with line_on(database) as rows:
        for announced in processes.announce("w", [ToolSpec("weather", "The weather.", {"type": "object"})]):
            rows.run(announced)
    with top(database) as terminal:
        seen = terminal.reads("weather")
        assert ENTERED in seen
        terminal.reads("WAIT p50 p95 p99")
        terminal.resize(80)
        terminal.reads("WAIT p95")
        terminal.type(keys)
        written = terminal.ends()
        assert LEFT in written
        assert "Traceback" not in written
        assert termios.tcgetattr(terminal.screen) == terminal.before


def test_without_anything_to_show_it_says_what_to_do(database: str) -> None:
    with top(database) as terminal:
        terminal.reads("No worker is alive")
        terminal.type(b"q")
        terminal.ends()


def test_while_postgres_is_away_it_says_so_and_goes_on_afterwards(database: str) -> None:
    name = sql.Identifier(database.rpartition("/")[2].partition("?")[0])
    with (
        psycopg.connect(in_dialect(database, "postgresql", "template1"), autocommit=True) as keeper,
        top(database) as terminal,
    ):
        terminal.reads("No worker is alive")
        keeper.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            terminal.reads("cannot be reached")
            terminal.reads("Trying again.")
        finally:
            keeper.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        with line_on(database) as rows:
            rows.open()
        terminal.reads("sessions: 1 open")
        terminal.type(b"q")
        assert LEFT in terminal.ends()
