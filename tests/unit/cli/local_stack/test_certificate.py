"""The certificate that `ringback up --tls` makes is one that clients take, and it stays."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from threading import Thread

import pytest

from cli.local_stack import certificate
from cli.local_stack.certificate import certificate_in

pytestmark = pytest.mark.loopback


def test_a_strict_client_that_trusts_it_takes_it_for_every_name_of_this_machine(tmp_path: Path) -> None:
    made = certificate_in(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(made.certificate, made.key)
    client = ssl.create_default_context(cafile=made.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    for name in ("127.0.0.1", "localhost", "::1"):
        ours, theirs = socket.socketpair()
        thread = Thread(target=lambda end=theirs: server.wrap_socket(end, server_side=True).close())
        thread.start()
        with client.wrap_socket(ours, server_hostname=name) as wrapped:
            assert wrapped.version() is not None
        thread.join()


def test_it_stays_and_only_the_owner_can_read_its_key(tmp_path: Path) -> None:
    first = certificate_in(tmp_path)
    text = first.certificate.read_bytes()
    assert certificate_in(tmp_path) == first
    assert first.certificate.read_bytes() == text
    assert first.key.stat().st_mode & 0o077 == 0


def test_one_that_ends_soon_or_cannot_be_read_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = certificate_in(tmp_path).certificate.read_bytes()
    monkeypatch.setattr(certificate, "RENEW_BEFORE", certificate.VALID)
    second = certificate_in(tmp_path).certificate.read_bytes()
    assert second != first
    monkeypatch.undo()
    (tmp_path / "certificate.pem").write_text("no certificate")
    assert certificate_in(tmp_path).certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
