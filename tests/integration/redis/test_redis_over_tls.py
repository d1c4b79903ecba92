"""Redis behind TLS: every connection of every process is encrypted and verified, while a real call runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cli.local_stack.certificate import Certificate, certificate_in
from tests.line import eventually, running_line
from tests.redis_tls import Tap, redis_behind_tls
from tests.servers import as_ours

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate_in(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def tap(redis_db: str, certificate: Certificate) -> Iterator[Tap]:
    with redis_behind_tls(as_ours(redis_db), certificate) as tap:
        yield tap


@pytest.mark.parametrize("trust", ["the environment", "the URL"])
async def test_not_one_byte_goes_in_clear_while_a_call_runs(
    database: str, tap: Tap, certificate: Certificate, tmp_path: Path, trust: str
) -> None:
    trusted = str(certificate.certificate)
    by_url = trust == "the URL"
    url = f"{tap.url}?ssl_ca_certs={trusted}&ssl_cert_reqs=CERT_REQUIRED" if by_url else tap.url
    settings = {"REDIS_URL": url} | ({} if by_url else {"SSL_CERT_FILE": trusted})
    with running_line(database, tap.url, tmp_path, settings=settings) as line:
        await line.ask_for_the_weather()
        ours = [line.logs / f"{name}.log" for name in ("gateway", "worker")]
        assert not any("doorbell silent" in log.read_text() for log in ours)
    assert tap.in_clear == []
    assert tap.refused == []
    assert tap.encrypted >= 4, "the gateway's two clients, its publisher, and the worker's consumer"


async def test_a_server_that_cannot_be_verified_hears_no_password(database: str, tap: Tap, tmp_path: Path) -> None:
    with running_line(database, tap.url, tmp_path, settings={"REDIS_URL": tap.url}) as line:
        for name, words in (("gateway", "doorbell silent"), ("worker", "Redis connection failed")):
            eventually(partial(_tells, line.logs / f"{name}.log", words), f"the {name} says why: {words}")
    assert tap.in_clear == []
    assert tap.encrypted == 0
    eventually(lambda: tap.refused, "each client to give up the handshake")


def _tells(log: Path, words: str) -> bool:
    return any(words in line and "CERTIFICATE_VERIFY_FAILED" in line for line in log.read_text().splitlines())
