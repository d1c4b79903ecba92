"""A real PgBouncer before a test's database, with so few connections that all clients share them."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.local_stack.embedded_servers import UNPRIVILEGED
from cli.local_stack.process_group import Process, ProcessGroup
from ringback.postgres.url import read
from tests.ports import kept_port

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None, reason="pgbouncer is not installed (Debian: apt-get install pgbouncer)"
)
MODES = ("transaction", "session")
MANNERS = {"strict": "", "lax": "options,extra_float_digits"}
"""Which start parameters that it does not know it drops without a word; it refuses the others."""
KINDS = [(mode, manner) for mode in MODES for manner in MANNERS]
SIZES = {"transaction": 3, "session": 60}
"""Connections to Postgres. In session mode each client has one for as long as it lives."""


@contextmanager
def pgbouncer(database: str, folder: Path, mode: str, manner: str) -> Iterator[str]:
    """The URL of the same database behind it, for as long as the context lasts."""
    there, port = read(database).arguments, kept_port()
    target = " ".join(f"{name}={there[name]}" for name in ("host", "port", "user", "password") if there.get(name))
    ini = folder / f"{mode}-{manner}.ini"
    ini.write_text(
        f"""[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {SIZES[mode]}
max_client_conn = 200
ignore_startup_parameters = {MANNERS[manner]}
""",
        encoding="utf-8",
    )
    as_user = ["-u", UNPRIVILEGED] if os.geteuid() == 0 else []
    argv: list[str | Path] = [str(PGBOUNCER), *as_user, ini]
    with ProcessGroup() as group:
        ready, log = re.compile("process up"), folder / "pgbouncer.log"
        group.start(Process("pgbouncer", argv, log=log, ready=ready, stop_signal=signal.SIGINT))
        yield f"postgresql+psycopg://{there.get('user', '')}@127.0.0.1:{port}/{there['dbname']}"
