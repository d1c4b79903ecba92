"""An MCP server of two tools, which a worker starts by itself: `examples/my_elsewhere.toml` says how.

It speaks on standard input and output, and ends with its worker. docs/how-to/serve-an-mcp-server.md explains the rest.
"""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import BaseModel

server = MCPServer("tickets")
TITLES = {7: "the printer is out of paper", 8: "the door squeaks"}


class Ticket(BaseModel):
    number: int
    title: str


# Without a hint that it may be repeated, a tool is one that must not run twice.
@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def find_ticket(number: int) -> Ticket:
    """Look a ticket up by its number."""
    if number not in TITLES:
        raise ToolError(f"There is no ticket {number}. Ask for the number again.")
    return Ticket(number=number, title=TITLES[number])


@server.tool()
async def open_ticket(title: str, context: Context[Any, Any]) -> Ticket:
    """Open a ticket about something that is broken."""
    await context.report_progress(1, 2, "asking the desk")
    number = max(TITLES) + 1
    TITLES[number] = title
    return Ticket(number=number, title=title)


if __name__ == "__main__":
    server.run()
