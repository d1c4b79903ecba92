"""What it costs to read a client's frame: decoded by type, checked, held to its policy, and written anew.

For each kind of frame the best of several rounds, in µs; and how long the worst frames take that a client can think of.

    .venv/bin/python benchmarks/client_frames.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import base64
import json
import timeit

from benchmarks.measuring.bounds import whole
from benchmarks.measuring.receipts import insist
from gateway import protocol
from gateway.upstream.realtime_events import read as read_event
from ringback.agents.client_policy import BROWSER, TRUSTED, ClientPolicy

PCM_BYTES = 4_800
"""A tenth of a second: 24 kHz of 16 bits."""
ROUND_SECONDS = 0.05
AUDIO = base64.b64encode(bytes(range(256)) * 19)[: PCM_BYTES * 4 // 3].decode()
LISTS = "100,000 lists in each other"
"""Refused; all else is taken."""
PLAIN = "input_audio_buffer.clear"
SESSION = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": {"type": "server_vad"}},
        "output": {"format": {"type": "audio/pcm"}, "speed": 1.1},
    },
}
TOOLS = [
    {
        "type": "function",
        "name": f"tool_{number}",
        "description": "Looks something up. " * 10,
        "parameters": {"type": "object", "properties": {f"p{each}": {"type": "string"} for each in range(8)}},
    }
    for number in range(20)
]
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What time is it? " * 20}]}
TAIL = {"session": SESSION | {"tools": TOOLS}}


def frames() -> dict[str, tuple[str, ClientPolicy]]:
    """What clients say, by what it is called in the results."""
    append = {"type": "input_audio_buffer.append", "audio": AUDIO}
    return {
        "0.1 s of audio": (json.dumps(append), BROWSER),
        "0.1 s of audio, with an event_id": (json.dumps({"event_id": "event_1", **append}), BROWSER),
        "0.1 s of audio, every slash escaped": (json.dumps(append).replace("/", "\\/"), BROWSER),
        "a typed message": (json.dumps({"type": "conversation.item.create", "item": MESSAGE}), BROWSER),
        "a bare response.create": (json.dumps({"type": "response.create"}), BROWSER),
        "a session.update": (json.dumps({"type": "session.update", "session": SESSION}), BROWSER),
        "a session.update with 20 tools": (json.dumps({"type": "session.update", **TAIL}), TRUSTED),
    }


def worst() -> dict[str, tuple[str, ClientPolicy]]:
    """What is built to cost, and as much of it as passes or is read to its end."""
    members = ", ".join(f'"{number}": 1' for number in range(protocol.MAX_PLAIN_VALUES - 2))
    entries = "0," * (protocol.MAX_VALUES - 4)
    return {
        f"{protocol.MAX_PLAIN_VALUES:,} names": (f'{{"type": "{PLAIN}", {members}}}', BROWSER),
        f"{protocol.MAX_VALUES:,} entries": (f'{{"type": "{PLAIN}", "x": [{entries}0]}}', TRUSTED),
        "256 Ki of quotation marks": (f'{{"type": "{PLAIN}", "x": "{chr(92) * 2 * 120_000}"}}', BROWSER),
        LISTS: (f'{{"type": "{PLAIN}", "x": {"[" * 100_000}', BROWSER),
        "a number of 250,000 digits": (f'{{"type": "{PLAIN}", "x": {"9" * 250_000}}}', BROWSER),
        "2 MiB of audio beside one name more": (
            f'{{"type": "input_audio_buffer.append", "x": 1, "audio": "{"AAEC" * 500_000}"}}',
            BROWSER,
        ),
    }


def is_taken(frame: str, allowed: ClientPolicy) -> bool:
    """True where it is read to its end and passed on."""
    return isinstance(protocol.read(frame, allowed), protocol.ClientFrame)


def microseconds(frame: str, allowed: ClientPolicy, rounds: int) -> float:
    """To read it once, at best."""
    timer = timeit.Timer(lambda: protocol.read(frame, allowed))
    once = timer.timeit(3) / 3
    number = max(1, int(ROUND_SECONDS / once))
    return min(timer.repeat(rounds, number)) / number * 1e6


def main() -> None:
    """Measure, and print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=whole(), default=7)
    rounds = options.parse_args().rounds
    for head, kinds in (("frame", frames()), ("built to cost", worst())):
        taken = {name: is_taken(*frame) for name, frame in kinds.items()}
        insist("which frames are taken", taken, {name: name != LISTS for name in kinds})
        print(f"| {head} | characters | µs | outcome |\n| --- | --- | --- | --- |")
        for name, (frame, allowed) in kinds.items():
            read = protocol.read(frame, allowed)
            outcome = "taken" if isinstance(read, protocol.ClientFrame) else read.rule
            print(f"| {name} | {len(frame):,} | {microseconds(frame, allowed, rounds):,.1f} | {outcome} |")
        print()
    delta = json.dumps({"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "delta": "Hello"})
    insist("a delta of text, read", read_event(delta).raw, json.loads(delta))
    timer = timeit.Timer(lambda: read_event(delta))
    print(f"an event of the Realtime API, a delta of text: {min(timer.repeat(rounds, 20_000)) / 20_000 * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
