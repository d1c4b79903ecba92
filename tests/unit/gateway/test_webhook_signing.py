"""Webhooks are signed as the specification has it: the vector is that of its own libraries."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode, b64encode

import pytest

from gateway.webhook_signing import BadSecret, key_of, refusal, signed_headers

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


@pytest.mark.parametrize("secret", [SECRET, f"whsec_{SECRET}", f" whsec_{SECRET}\n"])
def test_the_vector_of_standard_webhooks(secret: str) -> None:
    assert signed_headers(key_of(secret), ID, TIMESTAMP, BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"message_id": "msg_other"},
        {"timestamp": TIMESTAMP + 1},
        {"body": b'{"test": 2432232315}'},
        {"key": b"\0" * 24},
        # what was moved from one part into another
        {"message_id": f"{ID}.1", "timestamp": 614265330},
    ],
    ids=lambda changed: ",".join(changed),
)
def test_whatever_is_changed_the_signature_is_another(changed: dict[str, object]) -> None:
    given = {"key": key_of(SECRET), "message_id": ID, "timestamp": TIMESTAMP, "body": BODY}
    signature = signed_headers(**given)["webhook-signature"]  # type: ignore[arg-type]
    assert signed_headers(**{**given, **changed})["webhook-signature"] != signature  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_signed_as_they_are() -> None:
    key, body = key_of(SECRET), "Grüße, 🌧".encode()
    digest = hmac.new(b64decode(SECRET), b"job_1.5." + body, hashlib.sha256).digest()
    assert signed_headers(key, "job_1", 5, body)["webhook-signature"] == f"v1,{b64encode(digest).decode()}"


@pytest.mark.parametrize("secret", ["", "whsec_", "short", "not base64 at all, but long enough?", "whsec_c2hvcnQ="])
def test_what_is_no_secret_is_refused_by_a_sentence_that_says_what_one_is(secret: str) -> None:
    with pytest.raises(BadSecret, match=r"^a secret is whsec_ and base64 of 24 bytes or more, as `openssl rand"):
        key_of(secret)


NOW = 1_700_000_000.0
KEY_OF_TEST, OTHER_KEY = b"k" * 32, b"o" * 32
CALLS = b'{"type": "realtime.call.incoming"}'


def message(key: bytes = KEY_OF_TEST, at: float = NOW, body: bytes = CALLS, **changed: str) -> dict[str, str]:
    """Headers that a sender with this key writes, with some of them changed."""
    return signed_headers(key, "wh_1", int(at), body) | {name.replace("_", "-"): each for name, each in changed.items()}


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (message(), CALLS, None),
        (message(OTHER_KEY), CALLS, None),
        (message(at=NOW - 300), CALLS, None),
        (message(webhook_signature=f"v1,AAAA {message()['webhook-signature']}"), CALLS, None),
        ({}, CALLS, "no_id"),
        (message(webhook_id=""), CALLS, "no_id"),
        (message(webhook_id="x" * 300), CALLS, "no_id"),
        (message(webhook_id="wh_\n1"), CALLS, "no_id"),
        (message(webhook_timestamp="now"), CALLS, "no_timestamp"),
        (message(webhook_timestamp="-1"), CALLS, "no_timestamp"),
        (message(webhook_timestamp=str(int(NOW) + 1)), CALLS, "wrong_signature"),
        (message(webhook_id="wh_2"), CALLS, "wrong_signature"),
        (message(b"x" * 32), CALLS, "wrong_signature"),
        (message(webhook_signature=""), CALLS, "wrong_signature"),
        (message(webhook_signature=message()["webhook-signature"].replace("v1", "v1a")), CALLS, "wrong_signature"),
        (message(webhook_signature="v1,é"), CALLS, "wrong_signature"),
        (message(), CALLS + b" ", "wrong_signature"),
        (message(), CALLS.replace(b": ", b":"), "wrong_signature"),
        (message(at=NOW - 301), CALLS, "too_old"),
        (message(at=NOW + 301), CALLS, "too_old"),
    ],
)
def test_a_message_is_taken_from_its_sender_alone_and_only_while_it_is_new(
    headers: dict[str, str], body: bytes, why: str | None
) -> None:
    assert refusal([KEY_OF_TEST, OTHER_KEY], headers, body, NOW) == why


def test_openais_own_library_takes_what_we_sign() -> None:
    from openai import OpenAI

    secret, now = f"whsec_{b64encode(KEY_OF_TEST).decode()}", time.time()
    client = OpenAI(api_key="none", webhook_secret=secret)
    client.webhooks.verify_signature(CALLS.decode(), message(at=now))
    assert refusal([key_of(secret)], message(at=now), CALLS, now) is None
