"""`ringback up`, run like a person runs it, and the page that its link opens in a real Chromium."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import wave
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Timer
from typing import IO, Any, cast

from playwright.sync_api import Browser, Locator, Page, expect

from tests.forked import FORKING_CLI, popen
from tests.servers import folder_for_servers

RATE = 24_000
PATIENCE = 60.0
PATIENCE_MS = PATIENCE * 1_000
MOST_TABS = 40
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""Arguments of a Chromium whose microphone is a file."""
LAST_SECONDS = 8
"""Of a sound that the recogniser gets: an answer takes four."""
RECORDER = """
// What the page hands to its loudspeaker, what the browser forbids, and what it says to the gateway.
globalThis.recorded = { toSpeaker: [], forbidden: [] };
addEventListener("securitypolicyviolation", (event) => {
  recorded.forbidden.push(`${event.violatedDirective} ${event.blockedURI}`);
});
const post = MessagePort.prototype.postMessage;
MessagePort.prototype.postMessage = function (message, ...rest) {
  if (message?.samples || message?.stop || message?.ended) {
    const samples = message.samples ? Array.from(message.samples) : [];
    recorded.toSpeaker.push({ item: message.item ?? null, stop: Boolean(message.stop), samples });
  }
  return post.call(this, message, ...rest);
};
// What comes over a peer connection, at 24 kHz, and the connections themselves.
globalThis.overPeer = [];
globalThis.peers = [];
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...settings) {
    super(...settings);
    peers.push(this);
    this.addEventListener("track", ({ track }) => {
      const context = new AudioContext({ sampleRate: 24000 });
      const keep = context.createScriptProcessor(16384, 1, 1);
      keep.onaudioprocess = ({ inputBuffer }) => {
        for (const value of inputBuffer.getChannelData(0)) overPeer.push(Math.round(value * 32767) | 0);
      };
      context.createMediaStreamSource(new MediaStream([track])).connect(keep);
      keep.connect(context.destination);
    });
  }
};
"""


MOUTH = """
// A microphone that is silent until the test says something into it.
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext({ sampleRate: 24000 });
  const microphone = context.createMediaStreamDestination();
  const quiet = new ConstantSourceNode(context, { offset: 0 });  // or nothing would be sent between two sentences
  quiet.connect(microphone);
  quiet.start();
  globalThis.sayAloud = (samples) => {
    const speech = context.createBuffer(1, samples.length, 24000);
    speech.copyToChannel(Float32Array.from(samples, (sample) => sample / 32768), 0);
    const source = new AudioBufferSourceNode(context, { buffer: speech });
    source.connect(microphone);
    source.start();
  };
  return microphone.stream;
};
"""
"""For what is spoken once: a file is heard from its beginning on, also while the call is not connected yet."""
HAS_PAUSED = """(heard) => {
  const isLoud = (value) => Math.abs(value) > 500;
  return heard.some(isLoud) && !heard.slice(-16384).some(isLoud);
}"""
"""Whether speech has come, and then two thirds of a second of silence.

The page judges: to hand all of the sound over and to recognise it at each look would keep a core busy.
"""


@dataclass
class Up:
    """One running `ringback up`: its link, the address of its gateway, the token of its banner, and its folder."""

    link: str
    url: str
    token: str
    folder: Path

    @property
    def database(self) -> str:
        """The address of its rows."""
        return f"postgresql+psycopg://ringback@/postgres?host={self.folder}/postgres&port=5432"


@dataclass
class Tab:
    """A tab with the page, and what it has sent to the gateway. Microphone audio is left out."""

    page: Page
    sent: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Errors that the page wrote into the browser's console."""

    def ask(self, words: str) -> None:
        """Type a question, by the keyboard alone."""
        self._tab_to(self.page.locator("#words"))
        self.page.keyboard.type(words)
        self.page.keyboard.press("Enter")

    def say_aloud(self, words: str) -> None:
        """Say this into a microphone that is `MOUTH`."""
        from simulator.speech import synthesis

        self.page.evaluate("(samples) => sayAloud(samples)", array("h", synthesis.speak(words)).tolist())

    def press(self, name: str) -> None:
        """Press a button by the keyboard alone."""
        self._tab_to(self.page.get_by_role("button", name=name))
        self.page.keyboard.press("Enter")

    def _tab_to(self, wanted: Locator) -> None:
        for _ in range(MOST_TABS):
            if wanted.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{MOST_TABS} times Tab did not lead to {wanted}")

    def wait_for_call(self, outcome: str | re.Pattern[str]) -> None:
        """Wait until the newest call says so of itself."""
        expect(self.page.locator(".call .outcome").first).to_have_text(outcome, timeout=PATIENCE_MS)

    def moments(self) -> str:
        return self.page.locator("#moments").inner_text()

    def to_speaker(self) -> list[dict[str, Any]]:
        """What the playback worklet got: pieces of items, and stops."""
        pieces: list[dict[str, Any]] = self.page.evaluate("recorded.toSpeaker")
        return pieces

    def has_paused(self) -> bool:
        """Whether what comes over WebRTC was speech, and is silence now."""
        return bool(self.page.evaluate(f"({HAS_PAUSED})(overPeer)"))

    def over_peer(self) -> bytes:
        """What was heard last over WebRTC, PCM16 mono 24 kHz."""
        return last_words(array("h", self.page.evaluate("overPeer")).tobytes())

    def forbidden(self) -> list[str]:
        """What the content security policy has stopped."""
        found: list[str] = self.page.evaluate("recorded.forbidden")
        return found


@contextmanager
def running_up(ringback: Sequence[str] = FORKING_CLI, **settings: str) -> Iterator[Up]:
    """Run `ringback up` for the duration of the block; an order takes four seconds to look up.

    `ringback`: the command, where another installation than this one is meant. `settings`: more of the environment.
    """
    command = [*ringback, "up", "--port", "0"]
    env = {**os.environ, "COLUMNS": "500", "RINGBACK_ORDER_DELAY": "4", **settings}
    with (
        folder_for_servers() as folder,
        popen(
            [*command, "--folder", str(folder)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        output = cast(IO[str], process.stdout)
        guard = Timer(8 * PATIENCE, process.kill)
        guard.start()
        try:
            up = _opened(output, folder)
            reader.submit(output.read)  # or the pipe fills, and what writes into it waits
            yield up
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)
            guard.cancel()


def _opened(output: IO[str], folder: Path) -> Up:
    text = ""
    for line in output:
        text += line
        if found := re.search(r"export RINGBACK_URL=(\S+) RINGBACK_TOKEN=(\S+)", text):
            link = re.search(r"http://127\.0\.0\.1:\d+/#demo=\S+", text)
            assert link, text
            return Up(link[0], found[1], found[2], folder)
    raise AssertionError(f"`ringback up` has ended:\n{text}")


@contextmanager
def opened(browser: Browser, address: str, *, scripts: Sequence[str] = (), **context: Any) -> Iterator[Tab]:
    """The page in a fresh tab, recorded from its first script on."""
    inside = browser.new_context(**context)
    page = inside.new_page()
    tab = Tab(page)
    for script in (RECORDER, *scripts):
        page.add_init_script(script)
    page.on("console", lambda message: tab.said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda problem: tab.said.append(str(problem)))
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: _note(tab, frame)))
    page.goto(address)
    yield tab
    inside.close()


def _note(tab: Tab, frame: str | bytes) -> None:
    if "input_audio_buffer.append" not in str(frame)[:80]:
        tab.sent.append(json.loads(frame))


def samples_of(pieces: list[dict[str, Any]]) -> bytes:
    """The sound of those pieces as PCM of 16 bits."""
    return array("h", [value for each in pieces for value in each["samples"]]).tobytes()


def last_words(pcm: bytes) -> bytes:
    """The last seconds of a sound, without the silence behind it."""
    from simulator.speech.vad import FRAME_BYTES, has_sound

    end = len(pcm) - len(pcm) % FRAME_BYTES
    while end and not has_sound(pcm[end - FRAME_BYTES : end]):
        end -= FRAME_BYTES
    return pcm[max(0, end - LAST_SECONDS * RATE * 2) : end]


@cache
def words_in(pcm: bytes) -> frozenset[str]:
    """What the ears hear in a sound: the same each time, for seconds of the processor, so they listen once."""
    from simulator.speech import ears
    from simulator.speech.hints import NO_HINTS

    return frozenset(re.findall("[a-z]+", ears.ears().hear(pcm, NO_HINTS).lower()))


def write_speech(path: Path, words: str, before: float, *pauses: float) -> Path:
    """Write a sentence as a WAV file, once before each pause; all silence is in seconds."""
    from simulator.speech import synthesis

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(int(RATE * before) * 2))
        for pause in pauses:
            file.writeframes(synthesis.speak(words) + bytes(int(RATE * pause) * 2))
    return path
