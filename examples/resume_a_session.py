"""Lose the connection in the middle of a call, come back, and hear the result that came meanwhile.

`ringback up` prints the two values that it needs:

    export RINGBACK_URL=http://127.0.0.1:8080 RINGBACK_TOKEN=rb_...
    python examples/resume_a_session.py

RINGBACK_URL may name several gateways, with commas: any of them has the session. It prints:

    > Where is my order?
    job:   order_status pending
    The connection is gone.
    Back in the same session.
    job:   order_status replayed
    said:  Your order A-1042 is out for delivery. It should arrive today before six in the evening.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Sequence
from itertools import cycle
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

Event = dict[str, Any]

QUESTION = "Where is my order?"
PAUSE_SECONDS = 0.5  # the first; doubled each time, with a random part, so that not all come back at once
ATTEMPTS = 8
NOT_FOUND = 404  # the token is no longer valid


class Client:
    """Knows the way back: the newest resume token, and the gateways that may be asked."""

    def __init__(self, gateways: Sequence[str], token: str) -> None:
        self._gateways = cycle(gateways)
        self._token = token
        self._resume: str | None = None

    async def connect(self) -> ClientConnection:
        """The next connection: the same session if there is one to come back to, else a new one."""
        for attempt in range(ATTEMPTS):
            url = next(self._gateways).replace("http", "ws", 1)
            try:
                return await connect(f"{url}/v1/realtime?ringback=jobs,resume", additional_headers=self._headers())
            except InvalidStatus as refused:
                if refused.response.status_code == NOT_FOUND:
                    self._resume = None  # too late: what was said is over, and a new session begins
            except (OSError, TimeoutError, InvalidHandshake):
                pass  # this gateway is away; another one may be there
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1))  # noqa: S311
        raise ConnectionError("no gateway takes the session")

    async def listen(self, socket: ClientConnection) -> AsyncIterator[Event]:
        """The events of one connection; each new token replaces the one before."""
        async for frame in socket:
            event: Event = json.loads(frame)
            if event["type"] == "ringback.session.resumable":
                self._resume = event["token"]
            yield event

    def _headers(self) -> dict[str, str]:
        """Who calls, and which session to come back to: in headers, as URLs are logged."""
        resume = {"Ringback-Resume": self._resume} if self._resume else {}
        return {"Authorization": f"Bearer {self._token}", **resume}


async def main() -> None:
    """Ask, vanish, stay away until the call is over, and come back."""
    gateways, token = os.environ["RINGBACK_URL"].split(","), os.environ["RINGBACK_TOKEN"]
    client = Client(gateways, token)
    session_id, job_id = await ask_and_vanish(client)
    await be_away_until_it_is_over(f"{gateways[0]}/v1/jobs/{job_id}", token)
    await come_back(client, session_id)


async def ask_and_vanish(client: Client) -> tuple[str, str]:
    """Ask for something slow, and lose the connection before it is there; the ids of the session and of the job."""
    socket = await client.connect()
    session_id = job_id = ""
    has_spoken = False
    async for event in client.listen(socket):
        if event["type"] == "session.created":
            session_id = event["session"]["id"]
            await ask(socket)
        elif event["type"] == "ringback.job":
            job_id = event["job"]["id"]
            print("job:  ", event["job"]["tool"], event["job"]["state"])
        elif event["type"] == "response.done":
            has_spoken = True
        if job_id and has_spoken:
            break
    socket.transport.abort()  # no goodbye: a tunnel, a lift, a closed lid
    print("The connection is gone.")
    return session_id, job_id


async def ask(socket: ClientConnection) -> None:
    print(">", QUESTION)
    content = [{"type": "input_text", "text": QUESTION}]
    item = {"type": "message", "role": "user", "content": content}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


async def be_away_until_it_is_over(url: str, token: str) -> None:
    """Only so that this example prints the same each time: a client comes back as soon as it can."""
    state = "pending"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
        while state in ("pending", "running"):
            await asyncio.sleep(0.2)
            state = (await http.get(url)).raise_for_status().json()["state"]


async def come_back(client: Client, session_id: str) -> None:
    """The model tells what came meanwhile without being asked."""
    socket = await client.connect()
    async for event in client.listen(socket):
        if event["type"] == "session.created":
            print("Back in", "the same session." if event["session"]["id"] == session_id else "a new session.")
        elif event["type"] == "ringback.job":
            print("job:  ", event["job"]["tool"], event["job"]["state"])
        elif event["type"] == "response.output_audio_transcript.done":
            print("said: ", event["transcript"])
            break
    await socket.close()  # with 1000, which ends the session for good


if __name__ == "__main__":
    asyncio.run(main())
