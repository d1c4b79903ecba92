"""An encrypted value is decrypted only in its own place, with one of the keys."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.privacy.encryption import DecryptionFailed, FieldCipher, keys_in, new_key

HERE = UUID(int=1)
FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_it_opens_as_it_was(value: Any) -> None:
    seals = FieldCipher([FIRST])
    assert seals.decrypt(seals.encrypt(value, HERE, "result"), HERE, "result") == value


def test_what_is_sealed_shows_nothing_and_never_looks_the_same() -> None:
    sealed = [FieldCipher([FIRST]).encrypt("4111111111111111", HERE, "result") for _ in range(2)]
    assert b"4111" not in sealed[0]
    assert sealed[0] != sealed[1]


@pytest.mark.parametrize(("session", "column"), [(uuid4(), "result"), (HERE, "arguments")])
def test_it_opens_nowhere_else(session: UUID, column: str) -> None:
    seals = FieldCipher([FIRST])
    with pytest.raises(DecryptionFailed, match="another place"):
        seals.decrypt(seals.encrypt("x", HERE, "result"), session, column)


@pytest.mark.parametrize("place", range(40))
def test_what_was_changed_does_not_open(place: int) -> None:
    seals = FieldCipher([FIRST])
    sealed = bytearray(seals.encrypt("a secret", HERE, "result"))
    sealed[place % len(sealed)] ^= 1
    with pytest.raises(DecryptionFailed):
        seals.decrypt(bytes(sealed), HERE, "result")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x02" * 40, bytes(60)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        FieldCipher([FIRST]).decrypt(sealed, HERE, "result")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    old, rotated, new = FieldCipher([FIRST]), FieldCipher([SECOND, FIRST]), FieldCipher([SECOND])
    before, after = old.encrypt("x", HERE, "result"), rotated.encrypt("y", HERE, "result")
    assert rotated.decrypt(before, HERE, "result") == "x"
    assert new.decrypt(after, HERE, "result") == "y"
    with pytest.raises(DecryptionFailed, match="RINGBACK_DATA_KEY"):
        new.decrypt(before, HERE, "result")


def test_nobody_sees_a_key_by_looking_at_what_holds_it() -> None:
    assert repr(FieldCipher([FIRST, SECOND])) == "FieldCipher(2 keys)"


def test_a_key_is_made_as_it_is_read() -> None:
    assert len(keys_in(new_key())[0]) == 32
    assert keys_in(f" {base64.b64encode(FIRST).decode()}, {base64.b64encode(SECOND).decode()},") == (FIRST, SECOND)
    assert keys_in("") == ()


@pytest.mark.parametrize("text", ["secret", "c2hvcnQ=", "a" * 44, base64.b64encode(bytes(33)).decode()])
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64") as refused:
        keys_in(text)
    assert text not in str(refused.value)
