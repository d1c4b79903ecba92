"""Which ears there are, and what those for people hear. benchmarks/ears.py measures how well."""

from __future__ import annotations

import socket
from array import array

import pytest

from simulator.__main__ import main
from simulator.speech import synthesis, whisper
from simulator.speech.ears import EarsError, Silero, available, ears
from simulator.speech.hints import NO_HINTS, Hints
from simulator.speech.vad import SAMPLE_RATE, SpeechStarted, SpeechStopped, Vad
from tests.unit.simulator.rehearsal import silence, sound

needs_ears = pytest.mark.skipif(
    not (whisper.available() and Silero.available() and synthesis.available()),
    reason="the extras voice and ears are not installed",
)


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name, place in (("whisper", "whisper"), ("silero", "ears.Silero"), ("sphinx", "sphinx")):
        monkeypatch.setattr(f"simulator.speech.{place}.available", lambda name=name: name in names)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("whisper", "silero", "sphinx"), "hears with whisper, and finds turns by Silero"),
        (("whisper", "sphinx"), "hears with whisper, and finds turns by loudness"),
        (("silero", "sphinx"), "hears with sphinx, and finds turns by loudness"),
        ((), "hears with none, and finds turns by loudness"),
    ],
)
def test_the_best_ears_that_are_installed_hear(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], told: str
) -> None:
    installed(monkeypatch, *names)
    assert ears().told() == told


def test_others_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "whisper", "silero", "sphinx")
    assert [ears(name).name for name in ("whisper", "sphinx", "none")] == ["whisper", "sphinx", "none"]
    assert ears("none").hear(sound(200), NO_HINTS) == ""
    assert available() == ["whisper", "sphinx"]


def test_ears_that_are_not_installed_are_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed(monkeypatch, "sphinx")
    with pytest.raises(EarsError, match="extra `ears`"):
        ears("whisper")
    assert main(["--ears", "whisper"]) == 2
    assert capsys.readouterr().err == (
        "simulator: --ears whisper: not installed here; install ringback with the extra `ears`.\n"
    )


@needs_ears
def test_a_sentence_is_heard_as_it_is_written_and_no_socket_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("the ears open a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    pcm = silence(300) + synthesis.speak("Where is my parcel?") + silence(500)
    assert (
        whisper.recognise(pcm, Hints(sentences=("Hello.", "Look up an order."))).lower().rstrip("?.")
        == "where is my parcel"
    )
    assert whisper.recognise(silence(500)) == ""


@needs_ears
def test_noise_is_no_sentence_whatever_is_likely_to_be_said() -> None:
    likely = Hints(sentences=("Hello, how can I help you?", "INV-17, A-1042.", "Look up an invoice."))
    hiss = array("h", ((i * 7919) % 6001 - 3000 for i in range(2 * SAMPLE_RATE)))
    assert whisper.recognise(hiss.tobytes(), likely) == ""


@needs_ears
def test_a_turn_is_found_in_noise_that_is_no_speech() -> None:
    hiss = array("h", ((i * 7919) % 3001 - 1500 for i in range(4 * SAMPLE_RATE)))
    speech = array("h", synthesis.speak("What is the weather in London?"))
    noisy = array("h", hiss)
    for i, sample in enumerate(speech, start=SAMPLE_RATE):
        noisy[i] = max(-32768, min(32767, noisy[i] + sample))
    assert Vad(Silero(), silence_duration_ms=500).feed(hiss.tobytes()) == []
    edges = Vad(Silero(), silence_duration_ms=500).feed(noisy.tobytes())
    assert [type(edge) for edge in edges] == [SpeechStarted, SpeechStopped]
    assert Vad(Silero(), silence_duration_ms=500).feed(silence(200) + sound(600) + silence(800)) == []


@needs_ears
def test_a_tone_below_half_of_the_new_rate_keeps_its_length_and_loudness() -> None:
    from simulator.speech.resampling import BYTES_BEFORE, to_16_khz

    pcm = sound(600)
    whole = to_16_khz(pcm)
    assert len(whole) == 16 * 600
    assert abs(whole[100:-100]).max() == pytest.approx(8000 / 32768, rel=0.01)
    half = len(pcm) // 2
    assert to_16_khz(pcm[half:], pcm[half - BYTES_BEFORE : half]) == pytest.approx(whole[len(whole) // 2 :], abs=1e-6)
