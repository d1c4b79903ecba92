"""A conversation with the tools of an MCP server and of an HTTP API, on this machine, with no key.

    python -m examples.try_my_elsewhere

It prints:

    > What about ticket 7?
    Ticket 7: the printer is out of paper.
    > Please open a ticket: the lift is stuck
    That is ticket 9.
    > Where is order A-1042?
    Order A-1042 is on its way.
    > Please cancel order A-1043.
    Order A-1043 is cancelled by demo.
    > Where is order B-7?
    I am sorry. shop answered 404: {"detail": "There is no order B-7. Ask for the number again."}
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cli.local_stack.stack import running_stack
from examples.my_shop import Shop
from examples.try_my_tools import converse
from simulator.scripting.scenario import load
from simulator.server.server import NO_SPEECH, Simulator

HERE = Path(__file__).parent
QUESTIONS = (
    "What about ticket 7?",
    "Please open a ticket: the lift is stuck",
    "Where is order A-1042?",
    "Please cancel order A-1043.",
    "Where is order B-7?",
)


async def main() -> None:
    """Start an API and a model that follows our scenario, then everything else with our tool file and our agent."""
    scenario = load(str(HERE / "my_elsewhere.yaml"))
    with the_shop() as url:
        async with Simulator(scenario, speech=NO_SPEECH).serving() as model:
            settings = {
                "RINGBACK_TOOL_FILES": str(HERE / "my_elsewhere.toml"),
                "SHOP_URL": url,
                "RINGBACK_AGENTS": str(HERE / "my_agents"),
                "RINGBACK_DEFAULT_AGENT": "desk",
                "REALTIME_URL": model.url,
            }
            with (
                tempfile.TemporaryDirectory() as logs,
                running_stack(durable=False, logs=Path(logs), settings=settings) as stack,
            ):
                await converse(stack, "desk", QUESTIONS)


@contextmanager
def the_shop() -> Iterator[str]:
    """Run the API of another party on a free port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as shop:
        Thread(target=shop.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{shop.server_port}"
        shop.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
