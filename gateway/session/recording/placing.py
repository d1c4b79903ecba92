"""Places the audio of both voices on the axis of their session, as the caller heard it. Pure.

The caller's audio was spoken before it arrived: a piece ends when it arrives, at the latest, and what comes in a burst
after a stall of the network moves back into the pause before it. The model's audio comes faster than it plays: a piece
begins where the one before it ends, or now. If the user begins to speak, or the client stops playing, what was not
played by then is no part of the recording. A client that says how much of an item it has played
(`conversation.item.truncate`) is believed; its word is waited for.

All times are those of the session's own clock. A place is in milliseconds from the beginning of the session.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Any

from gateway.conversation.event_names import APPEND_AUDIO, CANCEL_RESPONSE, TRUNCATE_ITEM
from gateway.protocol.audio_formats import format_of
from gateway.upstream.events import ModelAudio, ModelEvent, UserStartedSpeaking
from ringback.recordings.audio import (
    FRAME_MS,
    PIECE_MS_AT_MOST,
    RECORDED_MS_AT_MOST,
    Codec,
    Format,
    Piece,
    Voice,
    is_silent,
    loudness,
)

SNAP_MS = 300.0
"""A shorter gap between two pieces is the network's: a client plays, and a microphone sends, without it."""
HOLD_MS = 1_000.0
"""The model's audio is kept so long after it was played: a truncate comes that says it was not."""
MAX_HELD_BYTES = 4 * 1_048_576
"""Of audio that is in no row yet: a minute and a half of one voice. Beyond it audio is lost, and the talk goes on."""
CODECS = {"audio/pcm": Codec.PCM, "audio/pcmu": Codec.PCMU, "audio/pcma": Codec.PCMA}


@dataclass(slots=True)
class Run:
    """Audio of one voice without a gap.

    Args:
        floor_ms: it may be moved back to there.
    """

    from_ms: int
    form: Format
    floor_ms: int = 0
    audio: bytearray = field(default_factory=bytearray)

    @property
    def end_ms(self) -> float:
        """Where it ends, by now."""
        return self.from_ms + self.form.ms(len(self.audio))

    def take(self, until_ms: float, *, whole: bool) -> Iterator[tuple[int, bytes]]:
        """Take what ends by `until_ms` out of it, as pieces with their places; `whole`: also a frame that is not."""
        left = int((min(until_ms, self.end_ms) - self.from_ms) // FRAME_MS) * self.form.frame_bytes
        if whole and self.end_ms <= until_ms:
            left = len(self.audio)
        while left > 0:
            size = min(left, PIECE_MS_AT_MOST // FRAME_MS * self.form.frame_bytes)
            yield self.from_ms, bytes(self.audio[:size])
            del self.audio[:size]
            self.from_ms = self.floor_ms = self.from_ms + round(self.form.ms(size))
            left -= size

    def cut(self, at_ms: float) -> bytes:
        """Take off all from there on, and return it."""
        samples = max(0, round((at_ms - self.from_ms) * self.form.rate / 1_000))
        size = min(len(self.audio), samples * self.form.sample_bytes)
        off = bytes(self.audio[size:])
        del self.audio[size:]
        return off


@dataclass(slots=True)
class Part:
    """Where a part of an item lies: it begins at `at_ms`, with what stands `offset_ms` from the item's beginning."""

    item_id: str
    at_ms: float
    offset_ms: float


@dataclass(slots=True)
class Recording:
    """Both voices of one session, and what of them is in no row yet.

    Args:
        began_at: when the session began, by its own clock.
    """

    began_at: float
    lost_seconds: float = 0.0
    """So much could not be kept, of both voices."""
    _forms: dict[Voice, Format] = field(default_factory=lambda: dict.fromkeys(Voice, Format()))
    _runs: dict[Voice, deque[Run]] = field(default_factory=lambda: {voice: deque() for voice in Voice})
    _ready: deque[Piece] = field(default_factory=deque)
    _losses: dict[Voice, tuple[float, float]] = field(default_factory=dict)
    _held: int = 0
    """Bytes in all of these."""
    _plays_until: float = -inf
    """When the model's audio is played to its end, on the axis."""
    _parts: deque[Part] = field(default_factory=lambda: deque(maxlen=8))
    _tail: bytes = b""
    """What was not played when the model was stopped last: a truncate may say that it was."""
    _silenced: str | None = None
    """The item that the client plays no more of."""

    def heard_as(self, session: Mapping[str, Any]) -> None:
        """Note the audio formats of a `session` that is in force."""
        audio = session.get("audio")
        for voice, way in ((Voice.CALLER, "input"), (Voice.MODEL, "output")):
            given = audio.get(way) if isinstance(audio, Mapping) else None
            known = format_of(given.get("format")) if isinstance(given, Mapping) else None
            if known is not None:
                self._forms[voice] = Format(CODECS[known[0]], known[1])

    # — what happens —

    def client_event(self, event: Mapping[str, Any], now: float) -> None:
        """Take in a checked event of the client."""
        if event["type"] == APPEND_AUDIO:
            self.caller_said(_decoded(event["audio"]), now)
        elif event["type"] == TRUNCATE_ITEM:
            self._truncated(event["item_id"], event["audio_end_ms"], self._ms(now))
        elif event["type"] == CANCEL_RESPONSE:
            self._stopped(self._ms(now))

    def model_event(self, event: ModelEvent, now: float) -> None:
        """Take in an event of the model's server."""
        if isinstance(event, ModelAudio):
            self.model_said(str(event.item_id), str(event.raw.get("delta", "")), now)
        elif isinstance(event, UserStartedSpeaking):
            self._stopped(self._ms(now))

    def caller_said(self, audio: bytes, now: float) -> None:
        """Take in audio of the client that has just come."""
        form, now_ms, runs = self._forms[Voice.CALLER], self._ms(now), self._runs[Voice.CALLER]
        begins_ms = now_ms - form.ms(len(audio))
        run = runs[-1] if runs else None
        if run is None or run.form != form or begins_ms - run.end_ms > SNAP_MS:
            floor = ceil(run.end_ms) if run is not None else 0
            run = Run(max(floor, round(begins_ms)), form, floor)
            runs.append(run)
        if not self._keep(Voice.CALLER, run, audio):
            return
        ahead = round(run.end_ms - now_ms)
        if ahead > 0:
            run.from_ms = max(run.floor_ms, run.from_ms - ahead)

    def model_said(self, item_id: str, delta: str, now: float) -> None:
        """Take in audio of an item, as base64, that goes to the client now."""
        audio = _decoded(delta)
        if item_id == self._silenced or not audio:
            return
        form, now_ms, runs = self._forms[Voice.MODEL], self._ms(now), self._runs[Voice.MODEL]
        at = self._plays_until if now_ms - self._plays_until < SNAP_MS else now_ms
        run = runs[-1] if runs else None
        if run is None or run.form != form or abs(run.end_ms - at) >= 1:
            run = Run(round(at), form)
            runs.append(run)
        self._forget_tail()
        self._note_part(item_id, run.end_ms)
        self._plays_until = run.end_ms + form.ms(len(audio))
        if not self._keep(Voice.MODEL, run, audio):
            runs.append(Run(ceil(self._plays_until), form))

    def _stopped(self, now_ms: float) -> None:
        """Note that no more is played of what the model has said."""
        runs = self._runs[Voice.MODEL]
        if self._plays_until <= now_ms:
            return
        self._forget_tail()
        self._plays_until = now_ms
        cut = [run.cut(now_ms) for run in runs if run.end_ms > now_ms]
        self._tail = b"".join(cut)
        while runs and not runs[-1].audio and runs[-1].from_ms > now_ms:
            runs.pop()

    def _truncated(self, item_id: str, played_ms: float, now_ms: float) -> None:
        """Note that the client has played so much of an item, and plays no more of it."""
        self._stopped(now_ms)
        self._silenced = item_id
        parts = [part for part in self._parts if part.item_id == item_id and part.offset_ms <= played_ms]
        if not parts or self._parts[-1].item_id != item_id or not self._runs[Voice.MODEL]:
            return  # it is not what was said last, or is in its rows
        last, run = parts[-1], self._runs[Voice.MODEL][-1]
        end = last.at_ms + played_ms - last.offset_ms
        if end > run.end_ms:
            size = round((end - run.end_ms) * run.form.rate / 1_000) * run.form.sample_bytes
            run.audio += self._tail[:size]
            self._tail = self._tail[size:]
        else:
            self._held -= len(run.cut(end))
        self._forget_tail()
        self._plays_until = run.end_ms

    # — what is to be written —

    def batch(self, epoch: int, now: float, *, leaving: bool = False) -> list[Piece]:
        """Return what is ready to be written and was not `written` yet, the oldest first.

        Args:
            epoch: in which the session is now.
            leaving: the client has gone: of the model's audio it has played what was due by now.
        """
        now_ms = self._ms(now)
        for voice, runs in self._runs.items():
            until = inf if voice is Voice.CALLER else now_ms if leaving else now_ms - HOLD_MS
            for run in list(runs):
                is_over = run is not runs[-1] or leaving
                for from_ms, audio in run.take(until, whole=is_over):
                    self._make_ready(voice, epoch, run.form, from_ms, audio)
                if is_over and not run.audio and run is runs[0]:
                    runs.popleft()
            if voice in self._losses:
                begin, end = self._losses.pop(voice)
                length = max(1, round(end - begin))
                self._ready.append(Piece(voice, epoch, round(begin), length, Codec.LOST, 0, b"", b""))
        return list(self._ready)

    def written(self, number: int) -> None:
        """Forget so many pieces of the last batch, the oldest: they are in their rows, or none may be written."""
        for _ in range(number):
            self._held -= len(self._ready.popleft().audio)

    def _make_ready(self, voice: Voice, epoch: int, form: Format, from_ms: int, audio: bytes) -> None:
        heights = loudness(form, audio)
        if is_silent(form, audio, heights):
            self._held -= len(audio)
            return
        length = ceil(form.ms(len(audio)))
        self._ready.append(Piece(voice, epoch, from_ms, length, form.codec, form.rate, audio, heights))

    def _keep(self, voice: Voice, run: Run, audio: bytes) -> bool:
        """Add audio to a run; return False if there is no room for it."""
        begin, length = run.end_ms, run.form.ms(len(audio))
        if begin + length > RECORDED_MS_AT_MOST:
            return False
        if self._held + len(audio) > MAX_HELD_BYTES:
            first, _ = self._losses.get(voice, (begin, begin))
            self._losses[voice] = first, begin + length
            self.lost_seconds += length / 1_000
            return False
        run.audio += audio
        self._held += len(audio)
        return True

    def _note_part(self, item_id: str, at_ms: float) -> None:
        """Note where an item goes on, if it does not go on where its last part leads to."""
        last = self._parts[-1] if self._parts else None
        if last is None or last.item_id != item_id:
            self._parts.append(Part(item_id, at_ms, 0.0))
        elif abs(at_ms - self._plays_until) >= 1:
            offset = last.offset_ms + self._plays_until - last.at_ms
            self._parts.append(Part(item_id, at_ms, offset))

    def _forget_tail(self) -> None:
        self._held -= len(self._tail)
        self._tail = b""

    def _ms(self, now: float) -> float:
        return (now - self.began_at) * 1_000


def _decoded(audio: str) -> bytes:
    """Return audio from base64; none where it is not written so."""
    try:
        return a2b_base64(audio)
    except (NotBase64, ValueError):
        return b""
