"""How fast a client may talk, by a clock that the tests move."""

from __future__ import annotations

import pytest

from gateway.session.rate_limit import RateExceeded, RateLimiter
from ringback.agents.client_policy import BROWSER, ClientPolicy

SLOW = ClientPolicy(
    name="browser",
    messages_per_second=10,
    messages_burst=20,
    audio_rate=1.5,
    audio_burst_seconds=30,
    throttled_seconds=15,
)
SECOND_OF_PCM = 48_000
SECOND_OF_G711 = 8_000


def talk(pace: RateLimiter, seconds: float, *, speed: float, frame: float = 0.1) -> float | RateExceeded:
    """Seconds of audio at so many times real time, by a client that waits as it is told; how long it had to."""
    now, sent, waited = 0.0, 0.0, 0.0
    while sent < seconds:
        now, sent = now + frame / speed, sent + frame
        wait = pace.took(int(frame * SECOND_OF_PCM), now)
        if isinstance(wait, RateExceeded):
            return wait
        now, waited = now + wait, waited + wait
    return waited


@pytest.mark.parametrize("speed", [0.5, 1.0, 1.49])
def test_who_speaks_at_the_speed_of_speech_never_waits(speed: float) -> None:
    assert talk(RateLimiter(BROWSER), 3_600, speed=speed) == 0.0


def test_what_was_recorded_before_comes_in_at_once() -> None:
    assert talk(RateLimiter(BROWSER), 30, speed=1_000) == 0.0


def test_what_is_typed_and_shown_has_a_pace_of_its_own() -> None:
    pace = RateLimiter(BROWSER)
    assert {pace.took(0, 0.0, 2_097_152) for _ in range(4)} == {0.0}
    assert pace.took(0, 0.0, 262_144) == pytest.approx(1.0)
    assert pace.took(0, 1.0, 2 * 2_097_152) == RateExceeded("text")


@pytest.mark.parametrize("frame", [0.02, 0.1, 1.0])
def test_a_frame_that_passes_counts_as_every_frame(frame: float) -> None:
    passing, pace, size = RateLimiter(SLOW), RateLimiter(SLOW), int(frame * SECOND_OF_PCM)
    for count in range(100):
        now = count * frame / 4
        passes = passing.takes(size, now, 10)
        assert passes is (pace.took(size, now, 10) == 0.0)
        if not passes:
            break
        assert passing == pace or vars_of(passing) == vars_of(pace)
    assert not passes
    assert isinstance(passing.took(size, now, 10), float), "what did not pass was not counted yet"


@pytest.mark.parametrize(("audio_bytes", "frames", "chars"), [(31 * SECOND_OF_PCM, 0, 0), (0, 20, 0), (0, 0, 2**23)])
def test_a_frame_that_does_not_pass_counts_in_no_way(audio_bytes: int, frames: int, chars: int) -> None:
    passing, pace = RateLimiter(SLOW), RateLimiter(SLOW)
    for each in (passing, pace):
        assert {each.took(0, 0.0) for _ in range(frames)} <= {0.0}
        each.took(SECOND_OF_PCM, 0.0, chars)
    assert not passing.takes(audio_bytes, 0.0, 10)
    assert vars_of(passing) == vars_of(pace)


def vars_of(pace: RateLimiter) -> list[object]:
    return [pace._audio, pace._frames, pace._text, pace._at, pace._throttled_since]


def test_what_exceeds_the_burst_is_slowed_down() -> None:
    # 30 s come for nothing, 15 more at 1.5 seconds in a second.
    assert talk(RateLimiter(BROWSER), 45, speed=1_000) == pytest.approx(10, abs=0.2)


def test_a_flood_of_audio_is_hung_up_on_after_so_much() -> None:
    # 30 s of burst and 15 s of being slowed down: what came through until then is less than a minute.
    assert talk(RateLimiter(BROWSER), 50, speed=100) == pytest.approx((50 - 30) / 1.5, abs=0.7)
    assert talk(RateLimiter(BROWSER), 60, speed=100) == RateExceeded("audio")


def test_the_patience_begins_anew_once_a_client_has_kept_its_pace() -> None:
    pace = RateLimiter(SLOW)
    assert pace.took(40 * SECOND_OF_PCM, 0.0) == pytest.approx(10 / 1.5)
    assert pace.took(SECOND_OF_PCM, 100.0) == 0.0
    assert pace.took(40 * SECOND_OF_PCM, 101.0) == pytest.approx(10 / 1.5)


def test_one_frame_that_would_take_too_long_is_too_much_at_once() -> None:
    assert RateLimiter(SLOW).took(60 * SECOND_OF_PCM, 0.0) == RateExceeded("audio")


def test_many_frames_are_slowed_down_and_in_the_end_hung_up_on() -> None:
    pace = RateLimiter(SLOW)
    assert {pace.took(0, 0.0) for _ in range(20)} == {0.0}
    assert pace.took(0, 0.0) == pytest.approx(0.1)
    now = 0.0
    for _ in range(200):
        wait = pace.took(0, now)
        if isinstance(wait, RateExceeded):
            break
        now += wait
    assert wait == RateExceeded("messages")
    assert now == pytest.approx(15, abs=0.3)


def test_the_same_bytes_are_longer_as_telephone_audio() -> None:
    pace = RateLimiter(SLOW)
    pace.heard_as({"audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    assert pace.took(33 * SECOND_OF_G711, 0.0) == pytest.approx(2, abs=0.01)
    slower = RateLimiter(BROWSER)
    slower.heard_as({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}}})
    assert slower.took(33 * SECOND_OF_PCM * 2 // 3, 0.0) == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    "session",
    [
        {},
        {"audio": None},
        {"audio": {"input": []}},
        {"audio": {"input": {"format": None}}},
        {"audio": {"input": {"format": {"type": ["audio/pcmu"]}}}},
        {"audio": {"input": {"format": {"type": "audio/opus"}}}},
    ],
)
def test_what_says_nothing_of_the_format_changes_nothing(session: dict[str, object]) -> None:
    pace = RateLimiter(SLOW)
    pace.heard_as(session)
    assert pace.took(33 * SECOND_OF_PCM, 0.0) == pytest.approx(2, abs=0.01)


def test_a_clock_that_stands_still_gives_nothing_back() -> None:
    pace = RateLimiter(SLOW)
    assert pace.took(31 * SECOND_OF_PCM, 5.0) == pytest.approx(1 / 1.5)
    assert pace.took(SECOND_OF_PCM, 5.0) == pytest.approx(2 / 1.5)
