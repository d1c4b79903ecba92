"""Ask a question in writing, with the official SDK only.

`ringback up` prints the line that it needs first:

    export RINGBACK_URL=http://127.0.0.1:8080 RINGBACK_TOKEN=rb_...
    python examples/ask_in_text.py "What is the weather in London UK?"

It prints:

    Let me check that for you.
    In London, UK it is 12 degrees with light rain.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from openai import OpenAI


def main(question: str) -> None:
    """Ask, and print what the model says until it has answered."""
    client = OpenAI(base_url=f"{os.environ['RINGBACK_URL']}/v1", api_key=os.environ["RINGBACK_TOKEN"])
    with client.realtime.connect(model="demo") as connection:
        connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": question}]}
        )
        connection.response.create()
        for event in connection:
            if event.type == "error":
                sys.exit(event.error.message)
            if event.type == "response.done" and has_answered(event.response.to_dict()):
                return


def has_answered(response: dict[str, Any]) -> bool:
    """Print what a response said. A call is no part of it here: what is said beside one is a remark, not the answer."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    for message in messages:
        print(*(part.get("transcript") or part.get("text") for part in message["content"]))
    return any(message.get("phase") != "commentary" for message in messages)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "What is the weather in London UK?")
