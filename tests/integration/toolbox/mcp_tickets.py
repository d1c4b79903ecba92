"""An MCP server with every way to end: `python -m tests.integration.toolbox.mcp_tickets [PORT]`; without, on stdio."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel

READS = ToolAnnotations(read_only_hint=True)
server = MCPServer("tickets")


class Ticket(BaseModel):
    number: int
    title: str
    tags: list[str] = []


@server.tool(annotations=READS)
def search(query: str, limit: int = 3) -> list[Ticket]:
    """Find tickets.

    The newest come first.
    """
    return [Ticket(number=number, title=query) for number in range(1, limit + 1)]


@server.tool()
def create_ticket(ticket: Ticket) -> str:
    """Open a ticket."""
    return f"created {ticket.number}"


@server.tool(annotations=READS)
def refuse(reason: str) -> str:
    """Say no."""
    raise ToolError(reason)


@server.tool(name="go.down", annotations=READS)
def go_down(path: str) -> int:
    """End the server, the first time."""
    return _go_down(path)


@server.tool()
def go_down_once(path: str) -> int:
    """The same, but it must not run twice."""
    return _go_down(path)


def _go_down(path: str) -> int:
    if not Path(path).exists():
        Path(path).write_text(str(os.getpid()), encoding="utf-8")
        os._exit(3)
    return os.getpid()


@server.tool(annotations=READS)
async def wait_for(path: str, context: Context[Any, Any]) -> str:
    """Wait until somebody makes the file `path`.go, and note in `path` what happens."""
    _note(path, f"began {os.getpid()}")
    await context.report_progress(1, 4, "asked the desk")
    try:
        while not Path(f"{path}.go").exists():  # noqa: ASYNC110, ASYNC240 — another process says so, with a file
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        _note(path, "cancelled")
        raise
    return "here"


@server.tool(annotations=READS)
def about_me(context: Context[Any, Any]) -> dict[str, Any]:
    """Tell what the call brought beside its arguments, and what the server was started with."""
    meta: Any = context.request_context.meta or {}
    told = {name.removeprefix("ringback/"): value for name, value in meta.items() if name.startswith("ringback/")}
    return {**told, "pid": os.getpid(), "token": os.environ.get("TOKEN"), "database": os.environ.get("DATABASE_URL")}


@server.tool(annotations=READS)
def picture() -> Image:
    """Return a picture."""
    return Image(data=b"12345678", format="png")


def _note(path: str, line: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run()
