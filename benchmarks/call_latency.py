"""What the durable way costs a call: a finished function_call at the Realtime API until its output is back there.

Two sides, in turns, against the same server on this machine: `ringback` is a whole gateway, Postgres (durable
commits), Valkey, Celery and a worker; `in-process` is the least there can be, a client that runs the function in its
own read loop and loses it with the process. The function does nothing. Every output is looked at, and every
row of ours: a call that was refused is no call.

    .venv/bin/python benchmarks/call_latency.py [--calls 300] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.receipts import insist, insist_on_success
from cli.local_stack.stack import running_stack

WARM_UP = 30
TOOL, DONE = "nothing", "done"
TOOL_MODULE = '''
from ringback import tool

@tool
async def nothing() -> str:
    """Do nothing."""
    return "done"
'''
# The calls follow each other without a word of the user's, and are no model that goes round in circles.
LIMITS = "max_calls_per_turn = 1000\nmax_calls_unheard = 10000\nmax_calls_per_minute = 10000\n"
MAX_CALLS = 1_000 - WARM_UP
AGENT = f'instructions = "Measure."\ntools = ["{TOOL}"]\n{LIMITS}'


@dataclass
class Upstream:
    """A Realtime API that asks for one call after the other, and takes the time."""

    calls: int
    milliseconds: list[float] = field(default_factory=list)
    call_ids: list[str] = field(default_factory=list)
    outputs: Counter[str] = field(default_factory=Counter)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, socket: ServerConnection) -> None:
        await _send(socket, {"type": "session.created", "session": {"id": "sess_1"}})
        update = json.loads(await socket.recv())
        await _send(socket, {"type": "session.updated", "session": update["session"]})
        for number in range(self.calls + WARM_UP):
            took = await self._one_call(socket, number)
            if number >= WARM_UP:
                self.milliseconds.append(took)
        self.finished.set()
        await socket.wait_closed()

    async def _one_call(self, socket: ServerConnection, number: int) -> float:
        response = {"id": f"resp_{number}", "conversation_id": "conv_1", "status": "in_progress", "output": []}
        item = {
            "id": f"item_{number}",
            "type": "function_call",
            "status": "completed",
            "name": TOOL,
            "call_id": f"call_{id(self)}_{number}",
            "arguments": "{}",
        }
        self.call_ids.append(item["call_id"])
        await _send(socket, {"type": "response.created", "response": response})
        began = time.perf_counter()
        await _send(socket, {"type": "response.output_item.done", "response_id": response["id"], "item": item})
        output = await _hear(socket, "conversation.item.create")
        took = (time.perf_counter() - began) * 1_000
        self.outputs[output["item"]["output"]] += 1
        await _send(socket, {"type": "conversation.item.added", "item": output["item"], "previous_item_id": None})
        done = {**response, "status": "completed", "output": [item]}
        await _send(socket, {"type": "response.done", "response": done})
        await _hear(socket, "response.create")
        return took


async def _send(socket: Any, event: dict[str, Any]) -> None:
    await socket.send(json.dumps(event))


async def _hear(socket: Any, kind: str) -> dict[str, Any]:
    while (event := json.loads(await socket.recv()))["type"] != kind:
        pass
    return dict(event)


@asynccontextmanager
async def upstream_on(port: int, calls: int) -> AsyncIterator[Upstream]:
    upstream = Upstream(calls)
    async with serve(upstream.answer, "127.0.0.1", port, compression=None):
        yield upstream


async def through_ringback(port: int, calls: int, url: str, token: str) -> Upstream:
    """One session through the gateway; its client only listens."""
    address = url.replace("http", "ws", 1) + "/v1/realtime"
    async with (
        upstream_on(port, calls) as upstream,
        connect(address, additional_headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        listening = asyncio.create_task(_listen(client))
        await upstream.finished.wait()
        listening.cancel()
    return upstream


async def _listen(client: Any) -> None:
    async for _ in client:
        pass


async def in_process(port: int, calls: int) -> Upstream:
    """The same conversation with a client that runs the function itself."""

    async def nothing() -> str:
        return DONE

    async with upstream_on(port, calls) as upstream, connect(f"ws://127.0.0.1:{port}") as socket:
        await _hear(socket, "session.created")
        await _send(socket, {"type": "session.update", "session": {}})
        while not upstream.finished.is_set():
            try:
                async with asyncio.timeout(0.5):
                    event = json.loads(await socket.recv())
            except TimeoutError:
                continue
            if event["type"] == "response.output_item.done":
                item = {"type": "function_call_output", "call_id": event["item"]["call_id"], "output": await nothing()}
                await _send(socket, {"type": "conversation.item.create", "item": item})
            elif event["type"] == "response.done":
                await _send(socket, {"type": "response.create"})
    return upstream


def measure(calls: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every call, by side."""
    taken: dict[str, list[float]] = {"ringback": [], "in-process": []}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench_tools.py").write_text(TOOL_MODULE)
        (Path(folder) / "demo.toml").write_text(AGENT)
        settings = {"RINGBACK_TOOL_MODULES": "bench_tools", "PYTHONPATH": folder, "RINGBACK_AGENTS": folder}
        with running_stack(logs=Path(folder), settings=settings, simulate=False) as stack:
            port = int(stack.simulator_url.split(":")[2].split("/")[0])
            for _ in range(rounds):
                ours = asyncio.run(through_ringback(port, calls, stack.url, stack.token))
                insist_on_success(stack.database_url, ours.call_ids)
                other = asyncio.run(in_process(port, calls))
                for side, upstream in (("ringback", ours), ("in-process", other)):
                    insist(f"{side}: outputs", dict(upstream.outputs), {DONE: calls + WARM_UP})
                    taken[side] += upstream.milliseconds
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    if asked.calls > MAX_CALLS:
        parser.error(f"--calls: at most {MAX_CALLS}, as an agent's limits allow")
    print(f"$ {sys.argv[0]} --calls {asked.calls} --rounds {asked.rounds}\n")
    print("| side | calls | p50 ms | p95 ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    for side, milliseconds in measure(asked.calls, asked.rounds).items():
        cuts = statistics.quantiles(milliseconds, n=100)
        print(f"| {side} | {len(milliseconds)} | {cuts[49]:.2f} | {cuts[94]:.2f} | {cuts[98]:.2f} |")


if __name__ == "__main__":
    main()
