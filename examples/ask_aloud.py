"""Ask a question aloud, and keep the spoken answer.

`ringback up` prints the two values that it needs:

    export RINGBACK_URL=http://127.0.0.1:8080 RINGBACK_TOKEN=rb_...
    python examples/ask_aloud.py answer.wav question.wav

The question is WAV: one channel of 16-bit samples at 24 kHz. Without one, the simulator's voice asks.
It prints:

    heard:  What is the weather in London?
    said:   Let me check that for you.
    job:    weather pending
    job:    weather succeeded
    job:    weather acked
    said:   In London, UK it is 12 degrees with light rain.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import wave
from typing import Any

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

RATE = 24_000
CHUNK = RATE // 10 * 2  # bytes: a tenth of a second
PAUSE = bytes(RATE * 2)  # a second of silence, by which the model hears that the question has ended


async def main(answer: str, question: str | None = None) -> None:
    """Speak and listen at the same time, as on the telephone."""
    client = AsyncOpenAI(base_url=f"{os.environ['RINGBACK_URL']}/v1", api_key=os.environ["RINGBACK_TOKEN"])
    async with client.realtime.connect(model="demo", extra_query={"ringback": "jobs"}) as connection:
        speaking = asyncio.create_task(speak(connection, read(question) if question else in_the_simulators_voice()))
        audio = await listen(connection)
        await speaking
    with wave.open(answer, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(audio)


async def speak(connection: AsyncRealtimeConnection, pcm: bytes) -> None:
    """Send the question in small pieces, at the pace of speech."""
    sound = pcm + PAUSE
    for start in range(0, len(sound), CHUNK):
        await connection.input_audio_buffer.append(audio=base64.b64encode(sound[start : start + CHUNK]).decode())
        await asyncio.sleep(0.1)


async def listen(connection: AsyncRealtimeConnection) -> bytes:
    """Tell what happens, until the answer to the last call has been spoken; all that the model said, as samples."""
    audio, acknowledged = b"", False
    async for event in connection:
        told: dict[str, Any] = event.to_dict()
        if event.type == "response.output_audio.delta":
            audio += base64.b64decode(event.delta)
        elif event.type == "conversation.item.input_audio_transcription.completed":
            print("heard: ", event.transcript)
        elif event.type == "response.output_audio_transcript.done":
            print("said:  ", event.transcript)
        elif told["type"] == "ringback.job":
            print("job:   ", told["job"]["tool"], told["job"]["state"])
            acknowledged = told["job"]["state"] == "acked"
        elif event.type == "response.done" and acknowledged:
            break
    return audio


def read(path: str) -> bytes:
    with wave.open(path, "rb") as file:
        return file.readframes(file.getnframes())


def in_the_simulators_voice() -> bytes:
    from simulator.speech import synthesis

    return synthesis.speak("what is the weather in london")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
