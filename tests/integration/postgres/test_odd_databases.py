"""Databases and URLs of every kind: each process accepts them alike, or refuses them in one sentence."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import select

from cli.local_stack.stack import agents_folder, our
from gateway.storage.database import Store, open_pool
from ringback.postgres.connections import connect
from ringback.postgres.migrate import revision, upgrade
from ringback.postgres.url import read
from ringback.statements.processes import live_tools
from tests.forked import run
from tests.servers import own_database
from workers.storage.database import Store as WorkersStore
from workers.storage.database import rows

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[3]
SECONDS = 60
COMMANDS = {"gateway": ["gateway"], "worker": ["worker"], "migrate": ["migrate"]}


def ended(words: list[str], database: str, redis: str = "redis://127.0.0.1:1/0") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    env = {**os.environ, "DATABASE_URL": database, "REDIS_URL": redis, "RINGBACK_AGENTS": str(agents_folder())}
    return run(our(*words), env=env, cwd=ROOT, timeout=SECONDS)


def administer(url: str, *statements: str) -> None:
    with closing(connect(url, "test", 5)) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def encoded(server: str, encoding: str) -> Iterator[str]:
    name = f"ringback_{encoding.lower()}_{secrets.token_hex(4)}"
    administer(
        server, f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    )
    try:
        yield (
            server.replace("/postgres?", f"/{name}?")
            if "/postgres?" in server
            else f"{server.rpartition('/')[0]}/{name}"
        )
    finally:
        administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_keep_every_character_is_refused(database_url: str, encoding: str) -> None:
    with encoded(database_url, encoding) as url:
        for name, words in COMMANDS.items():
            over = ended(words, url)
            said = over.stderr.splitlines()[-1]
            assert (over.returncode, "Traceback" in over.stderr) == (2, False), name
            assert f"keeps text as {encoding}, and Ringback needs UTF8" in said
            assert "ENCODING 'UTF8' TEMPLATE template0" in said


async def test_options_in_the_url_hold_for_every_process(database_url: str) -> None:
    with own_database(database_url, "ringback_options") as url:
        administer(url, "CREATE SCHEMA rb")
        url += f"{'&' if '?' in url else '?'}options={quote('-csearch_path=rb')}"
        upgrade(url)
        assert revision(url)
        gateway, worker = Store(open_pool(url, 1)), WorkersStore(url)
        try:
            assert await gateway.rows(live_tools()) == []
            assert rows(worker.claims, live_tools()) == []
        finally:
            await gateway.close()
            worker.close()
        listed = ended(["jobs", "list"], url)
        assert (listed.returncode, listed.stderr) == (0, "No job fits.\n")


def test_whoever_may_make_no_table_is_told_what_to_run(database_url: str) -> None:
    role = f"plain_{secrets.token_hex(4)}"
    with own_database(database_url, "ringback_rights") as url:
        administer(url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        try:
            target = read(url).arguments
            theirs = url.replace(f"{target['user']}@", f"{role}@", 1) if "password" not in target else ""
            if not theirs:
                pytest.skip("the server of these tests asks for passwords")
            over = ended(["migrate"], theirs)
            assert over.returncode == 2
            (sentence,) = over.stderr.splitlines()
            assert sentence.endswith(f"have an administrator run `GRANT CREATE ON SCHEMA public TO {role}` there")
        finally:
            administer(url, f"DROP ROLE {role}")


@pytest.mark.parametrize("words", [["gateway"], ["worker"], ["migrate"], ["jobs", "list"], ["check"]], ids=" ".join)
def test_a_url_that_cannot_be_used_ends_each_command_with_one_sentence(words: list[str]) -> None:
    over = ended(words, "postgresql://u:pass@word@127.0.0.1/d")
    assert over.returncode == 2
    (sentence,) = over.stderr.splitlines()
    assert sentence.startswith("ringback: DATABASE_URL is not usable: it has more than one @")
    assert "word@" not in sentence


async def test_of_several_hosts_the_one_that_is_there_is_found(database: str) -> None:
    target = read(database).arguments
    path = f"/nowhere,{target['host']}"
    url = f"postgresql+psycopg://{target['user']}@/{target['dbname']}?host={quote(path, safe='')}"
    if "port" in target:
        url += f"&port={target['port']},{target['port']}"
    if "password" in target:
        pytest.skip("the server of these tests asks for passwords")
    gateway, worker = Store(open_pool(f"{url}&target_session_attrs=read-write", 1)), WorkersStore(url)
    try:
        assert await gateway.rows(select(1)) == [(1,)]
        assert rows(worker.claims, select(1)) == [(1,)]
    finally:
        await gateway.close()
        worker.close()
