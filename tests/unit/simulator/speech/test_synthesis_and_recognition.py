"""The simulator hears what it says: the sentences of the demo come back word for word."""

from __future__ import annotations

import pytest

from simulator.speech import sphinx, synthesis
from simulator.speech.hints import Hints
from simulator.speech.vad import BYTES_PER_MS, SpeechStarted, SpeechStopped, Vad
from tests.unit.simulator.rehearsal import silence, sound

needs_voice = pytest.mark.skipif(
    not (synthesis.available() and sphinx.available()),
    reason="the voice extra (hibari-tts, pocketsphinx) is not installed",
)


@needs_voice
@pytest.mark.parametrize(
    ("sentence", "heard"),
    [
        ("What is the weather in London UK?", "what is the weather in london UK"),
        ("What is the weather in London?", "what is the weather in london"),
        ("Give me a quote of the day.", "give me a quote of the day"),
        ("Pick a random number between one and ten.", "pick a random number between one and ten"),
        ("Where is my order?", "where is my order"),
        ("Are you still there?", "are you still there"),
    ],
)
def test_a_sentence_comes_back_word_for_word(sentence: str, heard: str) -> None:
    assert sphinx.recognise(synthesis.speak(sentence)) == heard


@needs_voice
def test_likely_words_are_heard_rather_than_others() -> None:
    pcm = synthesis.speak("Use lookup invoice with number seventeen.")
    assert sphinx.recognise(pcm) == "use look up in voice with number seventeen"
    assert sphinx.recognise(pcm, Hints(frozenset({"invoice"}))) == "use look up invoice with number seventeen"


@needs_voice
def test_a_spoken_sentence_is_one_turn_even_at_the_shortest_silence() -> None:
    pcm = silence(500) + synthesis.speak("What is the weather in London UK?") + silence(500)
    edges = Vad(silence_duration_ms=200).feed(pcm)
    assert [type(edge) for edge in edges] == [SpeechStarted, SpeechStopped]


@needs_voice
def test_silence_has_no_words() -> None:
    assert sphinx.recognise(silence(500)) == ""


def test_a_chime_is_loud_enough_for_turn_detection() -> None:
    assert [type(e) for e in Vad().feed(synthesis.chime() + silence(300))] == [SpeechStarted, SpeechStopped]
    assert len(synthesis.chime()) // BYTES_PER_MS == 500


def test_without_the_extra_it_chimes_and_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert (synthesis.available(), sphinx.available()) == (False, False)
    assert synthesis.speak("a sentence that nobody has said before") == synthesis.chime()
    assert sphinx.recognise(sound(200)) == ""
    synthesis.speak.cache_clear()
