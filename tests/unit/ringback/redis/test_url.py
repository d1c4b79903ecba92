"""Every client reads REDIS_URL in the same way; one sentence refuses a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kombu
import pytest
import redis
import redis.asyncio

from ringback.config.settings import Stores, load
from ringback.errors import ConfigurationError
from ringback.redis.url import is_cluster, is_verified, redis_url, without_password

KOMBU: Any = kombu  # typed in part
TLS = "?ssl_cert_reqs=required&ssl_check_hostname=true"


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("redis://h", "redis://h:6379/0"),
        ("redis://", "redis://127.0.0.1:6379/0"),
        ("redis://h:7000/3", "redis://h:7000/3"),
        ("redis://h/?db=4", "redis://h:6379/4"),
        ("redis://h/2/", "redis://h:6379/2"),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1"),
        ("redis://:p%2Fw@h", "redis://:p%2Fw@h:6379/0"),
        ("redis://u:a@b@h", "redis://u:a%40b@h:6379/0"),
        ("redis://u@h", "redis://u@h:6379/0"),
        ("rediss://:p@h:6380/1", f"rediss://:p@h:6380/1{TLS}"),
    ],
)
def test_a_url_is_written_in_one_form_that_says_everything(given: str, written: str) -> None:
    assert redis_url(given) == written
    assert redis_url(written) == written


@pytest.mark.parametrize(
    ("spelling", "meant"),
    [
        *[(word, word) for word in ("none", "optional", "required")],
        *[(f"CERT_{word.upper()}", word) for word in ("none", "optional", "required")],
        ("Required", "required"),
    ],
)
def test_each_spelling_of_ssl_cert_reqs_means_the_same_to_each_client(spelling: str, meant: str) -> None:
    url = redis_url(f"rediss://h?ssl_cert_reqs={spelling}")
    assert f"ssl_cert_reqs={meant}&" in url
    assert [needs.name for needs in _seen_by_each_client(url)] == [f"CERT_{meant.upper()}"] * 4


def _seen_by_each_client(url: str) -> list[Any]:
    """Return what redis-py, its asyncio half, kombu, and kombu with a named transport read from the URL."""
    seen = []
    for module in (redis, redis.asyncio):
        pool: Any = module.ConnectionPool.from_url(url)
        seen.append(pool.make_connection().cert_reqs)
    for transport in (None, "workers.broker.transport:Transport"):
        connection = KOMBU.Connection(url, transport=transport)
        seen.append(redis.SSLConnection(**connection.ssl).cert_reqs)
    return seen


def test_the_files_and_the_name_reach_each_client(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.touch()
    url = redis_url(f"rediss://h?ssl_ca_certs={authority}&ssl_check_hostname=False")
    pool: Any = redis.ConnectionPool.from_url(url)
    connection = KOMBU.Connection(url)
    for client in (pool.make_connection(), redis.SSLConnection(**connection.ssl)):
        assert (client.ca_certs, client.check_hostname) == (str(authority), False)
    assert is_verified(url), "an authority of one's own signs for this server alone"


@pytest.mark.parametrize("url", ["", "h:6379", "http://h", "unix:///tmp/redis.sock", "redis+socket:///tmp/x"])
def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must look like redis://"):
        redis_url(url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://u:hunter2/x@h/0", "it has its @ behind a raw / or ?"),
        ("redis://u:hunter2?x@h/0", "it has its @ behind a raw / or ?"),
        ("redis://u:hunter2#x@h/0", "it has its @ behind a raw / or ?"),
        ("redis://u:hunter2@h:abc/0", "it has a port that is no number"),
        ("redis://u:hunter2@h:70000/0", "it has a port that is no number"),
        ("redis://u:hunter2@h:0/0", "it has a port that is no number"),
        # urlsplit's own errors quote what they refuse, and it drops a tab.
        ("redis://u:hunter2\N{ACCOUNT OF}@h/0", "must look like redis://"),
        ("redis://u:hun[ter2@h/0", "[ as %5B"),
        ("redis://u:[hunter2]@h/0", "[ as %5B"),
        ("redis://u:hunter2@[::1/0", "must look like redis://"),
        ("redis://u:hun\tter2@h/0", "it holds a tab"),
        ("redis://u:hunter2%FF@h/0", "stands for half a letter"),
        ("redis://u:hunter2@h..x/0", "it names a host that can be none"),
        (f"redis://u:hunter2@{'h' * 64}/0", "it names a host that can be none"),
        ("redis://u:hunter2@h/zero", "it must end with the number of a database"),
        ("redis://u:hunter2@h/0?db=-1", "it must end with the number of a database"),
        ("redis://u:hunter2@h1,h2/0", "it must name one host"),
        ("redis://u:hunter2@h/0;redis://h2/0", "it must end with the number of a database"),
        ("redis://u:hunter2@h/0?socket_timeout=5", "a parameter 'socket_timeout' that Ringback does not take"),
        ("redis://u:hunter2@h/0?ssl_cert_reqs=none", "begin it with rediss://"),
        ("rediss://u:hunter2@h/0?ssl_cert_reqs=maybe", "none of required, optional and none"),
        ("rediss://u:hunter2@h/0?ssl_check_hostname=maybe", "neither true nor false"),
        ("rediss://u:hunter2@h/0?ssl_ca_path=/nowhere", "names a folder with ssl_ca_path that is not there"),
        ("rediss://u:hunter2@h/0?ssl_ca_certs=/nowhere/ca.pem", "names a file with ssl_ca_certs that is not there"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence_without_the_password(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(Stores, DATABASE_URL="postgresql://h/d", REDIS_URL=url)
    assert str(refused.value).startswith("REDIS_URL is not usable: ")
    assert sentence in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("turned_off", ["ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs=none", "ssl_check_hostname=no"])
def test_tls_that_takes_any_server_is_known(turned_off: str) -> None:
    assert not is_verified(redis_url(f"rediss://h?{turned_off}"))
    assert is_verified(redis_url("rediss://h?ssl_cert_reqs=optional"))


@pytest.mark.parametrize(
    ("hello", "cluster"),
    [
        ({"mode": "cluster"}, True),
        ({b"mode": b"cluster", b"proto": 3}, True),
        ([b"server", b"valkey", b"mode", b"cluster"], True),
        ({"mode": "standalone"}, False),
        ("OK", False),
    ],
)
def test_a_node_of_a_cluster_says_so(hello: object, cluster: bool) -> None:
    assert is_cluster(hello) is cluster


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("redis://ringback:pw@cache:6379/0", "redis://cache:6379/0"),
        ("rediss://:p%40w@[::1]:6379/3?x=1", "rediss://[::1]:6379/3?x=1"),
        ("redis://cache", "redis://cache"),
    ],
)
def test_the_same_redis_without_a_name(url: str, bare: str) -> None:
    assert without_password(url) == bare
