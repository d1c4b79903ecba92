"""A result that goes along with a doorbell: only its gateway opens it, and only what Postgres lets in makes one."""

from __future__ import annotations

import base64
from uuid import UUID, uuid4

import pytest

from ringback.privacy.encryption import FieldCipher
from ringback.redis.sealed_results import MAX_CHARS, PURPOSE, CarriedResult, SealedResults

SESSION, KEY = uuid4(), bytes(range(32))
RESULT = CarriedResult(uuid4(), 3, "call_1", "weather", {"sky": "клар", "degrees": 21.5, "ok": True}, 1_700_000_000.25)


def sealed(result: CarriedResult = RESULT, session_id: UUID = SESSION, key: bytes = KEY) -> str:
    text = SealedResults(key).seal(session_id, result)
    assert text is not None
    return text


def test_the_gateway_opens_what_was_sealed_for_it() -> None:
    assert SealedResults(KEY).open(SESSION, sealed()) == RESULT


def test_the_text_shows_no_word_of_the_result() -> None:
    assert "weather" not in base64.b64decode(sealed()).decode(errors="replace")
    assert sealed() != sealed(), "nor that two results are the same"


@pytest.mark.parametrize(
    "text",
    [
        sealed(key=bytes(32)),
        sealed(session_id=uuid4()),
        sealed()[:-8] + "AAAAAAA=",
        base64.b64encode(FieldCipher([KEY]).encrypt(["x"], SESSION, "result")).decode(),
        "",
        "no base64 é",
    ],
    ids=["another gateway's", "another session's", "changed", "of a column", "nothing", "no seal"],
)
def test_what_was_not_sealed_for_it_is_no_result(text: str) -> None:
    assert SealedResults(KEY).open(SESSION, text) is None


@pytest.mark.parametrize(
    "values",
    [[], None, {}, "word", [str(uuid4()), 1], [str(uuid4()), 1, "call", "work", "done", 1.0, "more"], [7] * 6],
)
def test_what_another_version_sealed_is_read_from_its_row(values: object) -> None:
    """Else the gateway, which needs its listener, would end."""
    text = base64.b64encode(FieldCipher([KEY]).encrypt(values, SESSION, PURPOSE)).decode()
    assert SealedResults(KEY).open(SESSION, text) is None


def test_a_long_result_stays_in_its_row() -> None:
    long = CarriedResult(RESULT.job_id, 1, "call", "work", "x" * MAX_CHARS, 1.0)
    assert SealedResults(KEY).seal(SESSION, long) is None
