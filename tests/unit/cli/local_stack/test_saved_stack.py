"""What stays from one start to the next, and who can read it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cli.local_stack.saved_stack import FILE, SavedStack, is_free


def test_secrets_and_ports_stay(tmp_path: Path) -> None:
    first = (SavedStack(tmp_path).secret("token", prefix="rb_"), SavedStack(tmp_path).port("gateway"))
    again = (SavedStack(tmp_path).secret("token", prefix="rb_"), SavedStack(tmp_path).port("gateway"))
    assert again == first
    assert first[0].startswith("rb_")
    assert len(first[0]) > 30


def test_each_name_has_a_secret_of_its_own(tmp_path: Path) -> None:
    assert SavedStack(tmp_path).secret("token") != SavedStack(tmp_path).secret("valkey-ringback")


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    SavedStack(tmp_path).secret("token")
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0


def test_a_port_that_another_process_took_is_replaced_and_the_new_one_stays(tmp_path: Path) -> None:
    port = SavedStack(tmp_path).port("valkey")
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        other = SavedStack(tmp_path).port("valkey")
    assert other != port
    assert SavedStack(tmp_path).port("valkey") == other


def test_without_a_folder_nothing_is_kept() -> None:
    assert SavedStack(None).secret("token") != SavedStack(None).secret("token")
    assert is_free(SavedStack(None).port("gateway"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 7, "gateway": "x"}', '{"token": "", "gateway": 700000}'])
def test_a_file_that_was_spoilt_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    kept = SavedStack(tmp_path)
    token, port = kept.secret("token"), kept.port("gateway")
    assert len(token) > 30
    assert is_free(port)
    assert (kept.secret("token"), kept.port("gateway")) == (token, port)
