"""The gateway's own certificate: what cannot be used is told at start, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.local_stack.certificate import certificate_in
from gateway.production_checks import prove_certificate
from gateway.settings import GatewaySettings
from ringback.config.settings import load
from ringback.errors import ConfigurationError

STORES = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.fixture(autouse=True)
def away_from_any_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_certificate_and_its_key_are_taken(tmp_path: Path) -> None:
    made = certificate_in(tmp_path)
    given = {"RINGBACK_TLS_CERTIFICATE": made.certificate, "RINGBACK_TLS_KEY": made.key}
    prove_certificate(load(GatewaySettings, **STORES, **given))


def test_a_key_of_another_certificate_and_a_file_that_is_missing_are_told(tmp_path: Path) -> None:
    one, other = certificate_in(tmp_path / "one"), certificate_in(tmp_path / "other")
    for key in (other.key, tmp_path / "nowhere.pem"):
        given = {"RINGBACK_TLS_CERTIFICATE": one.certificate, "RINGBACK_TLS_KEY": key}
        with pytest.raises(ConfigurationError, match=r"RINGBACK_TLS_KEY=.* cannot be used: .* that belong together"):
            prove_certificate(load(GatewaySettings, **STORES, **given))


def test_half_of_it_is_no_tls(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RINGBACK_TLS_KEY is not set: TLS needs a certificate and its key"):
        load(GatewaySettings, **STORES, RINGBACK_TLS_CERTIFICATE=certificate_in(tmp_path).certificate)


def test_what_kubernetes_sets_beside_a_service_of_our_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_PORT", "tcp://10.43.0.7:8080")
    with pytest.raises(ConfigurationError, match="enableServiceLinks: false"):
        load(GatewaySettings, **STORES)
