"""What a tool knows of a call that a test has made."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from threading import Event

import pytest

from ringback import Call


def test_a_call_made_by_hand_needs_nothing() -> None:
    call = Call()
    call.progress("nobody listens")
    assert (call.user, call.attempt, call.claims, call.deadline) == ("somebody", 1, {}, None)
    assert not call.cancelled


def test_the_key_is_the_same_for_each_attempt() -> None:
    assert Call(job_id="j", attempt=1).idempotency_key == Call(job_id="j", attempt=2).idempotency_key == "j"


def test_progress_is_reported_and_a_cancellation_seen() -> None:
    notes: list[str] = []
    asked = Event()
    call = Call(_report=notes.append, _cancelled=asked)
    call.progress("asked the warehouse")
    assert notes == ["asked the warehouse"]
    asked.set()
    assert call.cancelled


def test_a_tool_cannot_change_who_asked() -> None:
    with pytest.raises(FrozenInstanceError):
        Call().user = "root"  # type: ignore[misc]
