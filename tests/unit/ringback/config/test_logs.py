"""A log line cannot be forged, and holds no secret."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.config.logs import _MASKS, MAX_LINE_CHARS, SafeFormatter, clean, configure, leave_out, masked
from ringback.privacy.redaction import Redaction


def written(message: str, *values: object, problem: BaseException | None = None) -> str:
    exc_info = (type(problem), problem, problem.__traceback__) if problem else None
    record = logging.LogRecord("a.name", logging.WARNING, __file__, 1, message, values, exc_info)
    return SafeFormatter("%(levelname)s %(name)s: %(message)s").format(record)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("plain, with ünïcode and 日本", "plain, with ünïcode and 日本"),
        ("a\r\n2026-01-01 INFO gateway: all is well", r"a\r\n2026-01-01 INFO gateway: all is well"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\x00b\x08c\x7fd\x9be", r"a\x00b\x08c\x7fd\x9be"),
        ("a\u2028b\u202ec\u2066d", r"a\u2028b\u202ec\u2066d"),
        ("half \ud83d", r"half \ud83d"),
        ("tab\there", r"tab\there"),
    ],
)
def test_what_is_said_stays_on_its_line(said: str, line: str) -> None:
    assert written("somebody said: %s", said) == f"WARNING a.name: somebody said: {line}"


def test_a_traceback_is_indented_whatever_the_exception_says() -> None:
    try:
        raise ValueError("a\nWARNING a.name: forged\r\x1b[2J")
    except ValueError as problem:
        lines = written("it failed", problem=problem).splitlines()
    assert lines[0] == "WARNING a.name: it failed"
    assert all(line.startswith("  ") for line in lines[1:])
    assert "forged" in lines[-1] or "forged" in lines[-2]
    assert "\x1b" not in "".join(lines)


def test_a_record_has_an_end() -> None:
    line = written("x" * 1_000_000)
    assert len(line) < MAX_LINE_CHARS + 100
    assert "more characters]" in line
    assert len(written("it failed", problem=ValueError("y" * 1_000_000))) < 30_000


def test_a_record_whose_values_do_not_fit_is_written_without_them() -> None:
    assert written("%d of them", "sk-abcdefghijkl") == "WARNING a.name: %d of them (not written in full: TypeError)"


SECRETS = [
    ("key sk-proj-aBc123_def456", "key sk-…"),
    ("ek_68af296e8e408191a1120ab6383263c2", "ek_…"),
    ("rb_sk_qJ5mM0hTz3nYb8KxW2cLrE7uVfA1sDgP", "rb_…"),
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_…"),
    ("Authorization: Bearer abc.def-ghi", "Authorization: …"),
    ("'authorization', b'Bearer abc'", "'authorization', b'Bearer …'"),
    ("bearer xyz", "Bearer …"),
    ("{'api-key': '0123456789abcdef'}", "{'api-key': '…'}"),
    ("Cookie: a=b; c=d", "Cookie: …"),
    ("realtime, openai-insecure-api-key.tok-1", "realtime, openai-insecure-api-key.…"),
    ("eyJhbGciOi.eyJzdWIi.c2ln is it", "eyJ… is it"),
    ("postgresql://ringback:p4ss@db/x failed", "postgresql://ringback:…@db/x failed"),
    ("redis://:p4ss@cache:6379", "redis://:…@cache:6379"),
    ("GET /v1/realtime?model=m&token=abc HTTP", "GET /v1/realtime?model=m&token=… HTTP"),
    ("/x?access_token=a&client_secret=b#c", "/x?access_token=…&client_secret=…#c"),
    ("host=db password=p4ss user=me", "host=db password=… user=me"),
    ("paid with 4111 1111 1111 1111", "paid with [card removed]"),
]
HARMLESS = [
    "task-runner-of-the-night is up",
    "GET /v1/jobs?session=1&key_of=x HTTP",
    "http://127.0.0.1:8080/healthz",
    "job 0192d4e1-77aa-7c3e-9b1f-0123456789ab tool=weather attempt=1 ms=12.3: succeeded",
]


@pytest.mark.parametrize(("said", "line"), SECRETS, ids=range(len(SECRETS)))
def test_what_looks_like_a_credential_is_masked(said: str, line: str) -> None:
    assert clean(said) == line


@pytest.mark.parametrize("said", HARMLESS)
def test_what_does_not_is_not(said: str) -> None:
    assert masked(said) == said


PIECES = st.sampled_from([part for said, _ in SECRETS for part in said.split()] + ["é", "ſ", " ", "=", "?key=", "sk-"])


@given(st.lists(PIECES | st.text(max_size=9), max_size=9).map("".join))
def test_a_look_for_words_leaves_out_no_mask(said: str) -> None:
    whole = said
    for _, pattern, instead in _MASKS:
        whole = pattern.sub(instead, whole)
    assert masked(said) == Redaction(("card",)).text(whole)


@pytest.mark.parametrize("said", [said for said, _ in SECRETS])
def test_an_upper_case_is_masked_as_before(said: str) -> None:
    whole = said.upper()
    for _, pattern, instead in _MASKS:
        whole = pattern.sub(instead, whole)
    assert masked(said.upper()) == Redaction(("card",)).text(whole)


def test_a_credential_is_masked_though_the_line_ends_within_it() -> None:
    secret = "sk-" + "a1B2" * 20
    assert "a1B2" not in clean("x" * (MAX_LINE_CHARS - 10) + " " + secret)


@contextmanager
def new_process() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """Yield the root logger and standard error as a process finds them, and restore both."""
    root, errors = logging.getLogger(), io.StringIO()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    root.handlers[:] = []
    with redirect_stderr(errors):  # here and not in a fixture: pytest sets its own between the two
        yield root, errors
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook = hook
    logging.captureWarnings(False)


def test_a_handler_that_is_there_already_is_made_safe() -> None:
    with new_process() as (root, errors):
        logging.basicConfig(level=logging.DEBUG)
        configure()
        logging.getLogger("some.library").debug("sent %r", "Bearer abc\n")
        assert root.level == logging.DEBUG
    assert errors.getvalue().endswith(" some.library: sent 'Bearer …'\n")


def test_an_exception_that_nobody_catches_is_written_in_the_same_way() -> None:
    with new_process() as (_, errors):
        configure()
        sys.excepthook(ValueError, ValueError("redis://:p4ss@cache\nforged"), None)
    assert "the process ends" in errors.getvalue()
    assert "p4ss" not in errors.getvalue()
    assert "\nforged" not in errors.getvalue()


def test_what_no_row_shows_is_in_no_line_either() -> None:
    said = "ada@example.com paid with 4111 1111 1111 1111"
    assert masked(said) == "ada@example.com paid with [card removed]"
    leave_out(["email"])
    try:
        assert masked(said) == "[email removed] paid with [card removed]"
    finally:
        leave_out([])
