"""What stays from one start to the next, and who can read it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cli.local_stack.kept import FILE, Kept, is_free


def test_secrets_and_ports_stay(tmp_path: Path) -> None:
    first = (Kept(tmp_path).secret("token", prefix="rb_"), Kept(tmp_path).port("gateway"))
    again = (Kept(tmp_path).secret("token", prefix="rb_"), Kept(tmp_path).port("gateway"))
    assert again == first
    assert first[0].startswith("rb_")
    assert len(first[0]) > 30


def test_each_name_has_a_secret_of_its_own(tmp_path: Path) -> None:
    assert Kept(tmp_path).secret("token") != Kept(tmp_path).secret("valkey-ringback")


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    Kept(tmp_path).secret("token")
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_a_port_that_another_process_took_is_replaced_and_the_new_one_stays(tmp_path: Path) -> None:
    port = Kept(tmp_path).port("valkey")
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        other = Kept(tmp_path).port("valkey")
    assert other != port
    assert Kept(tmp_path).port("valkey") == other


def test_without_a_folder_nothing_is_kept() -> None:
    assert Kept(None).secret("token") != Kept(None).secret("token")
    assert is_free(Kept(None).port("gateway"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 7, "gateway": "x"}', '{"token": "", "gateway": 700000}'])
def test_a_file_that_was_spoilt_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    kept = Kept(tmp_path)
    token, port = kept.secret("token"), kept.port("gateway")
    assert len(token) > 30
    assert is_free(port)
    assert (kept.secret("token"), kept.port("gateway")) == (token, port)
