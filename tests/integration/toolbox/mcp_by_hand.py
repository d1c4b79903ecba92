"""An MCP server on stdio, by hand: it lists the tools of a JSON file, and a call answers with its own argument.

`python -m tests.integration.toolbox.mcp_by_hand tools.json`; `{"answer": …}` is the result of a call, as it stands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def answer(method: str, params: dict[str, Any], tools: list[Any]) -> dict[str, Any]:
    if method == "initialize":
        about = {"serverInfo": {"name": "by hand", "version": "1"}, "capabilities": {"tools": {}}}
        return {"result": {"protocolVersion": params["protocolVersion"], **about}}
    if method == "tools/list":
        return {"result": {"tools": tools}}
    if method == "tools/call":
        return {"result": params["arguments"].get("answer", {"content": []})}
    return {"error": {"code": -32_601, "message": "no such method"}}


def main() -> None:
    tools = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            said = answer(asked["method"], asked.get("params") or {}, tools)
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **said}), flush=True)  # noqa: T201 — the wire


if __name__ == "__main__":
    main()
