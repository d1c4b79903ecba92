"""Tools as workers announce them: those of the demo, and some of one's own."""

from __future__ import annotations

from typing import Any

from simulator.understanding.offered import offered

TEXT = {"type": "string"}


def tool(called: str, description: str, **parameters: dict[str, Any]) -> dict[str, Any]:
    """A function of a session; a parameter without a default is required."""
    required = [name for name, schema in parameters.items() if "default" not in schema]
    schema = {"type": "object", "properties": parameters, "required": required, "additionalProperties": False}
    return {"type": "function", "name": called, "description": description, "parameters": schema}


SESSION = [
    tool("weather", "Tell the present weather in a city.", city={**TEXT, "description": 'such as "London, UK".'}),
    tool("quote_of_the_day", "Give the quote of the day."),
    tool(
        "random_number",
        "Pick a random whole number.",
        minimum={"type": "integer", "default": 1},
        maximum={"type": "integer", "default": 100},
    ),
    tool(
        "order_status",
        "Look up where an order is and when it arrives. This takes a few seconds.",
        order_id={**TEXT, "description": 'the number on the receipt, such as "A-1042".'},
    ),
    tool("fetch_url", "Read a public web page, and return its text.", url={**TEXT, "description": "https://…"}),
    tool("lookup_invoice", "Look up an invoice.", number={**TEXT, "description": 'such as "INV-17"'}),
    tool(
        "book_table", "Book a table.", guests={"type": "integer"}, at={**TEXT, "description": 'when, such as "19:00"'}
    ),
    tool(
        "order_shirt",
        "Order a shirt.",
        size={**TEXT, "enum": ["small", "large"]},
        gift={"type": "boolean", "default": False},
    ),
    tool("add_to_list", "Add to the shopping list.", things={"type": "array", "items": TEXT}),
    tool("gift_card", "Say in a sentence what this is for.", subject={**TEXT, "description": "in their own words."}),
    tool("closeAccount", "Close an account for good.", name=TEXT, sure={"type": "boolean"}),
    tool("book_flight", "Book a flight.", origin=TEXT, destination=TEXT, day={**TEXT, "format": "date"}),
    tool("find_part", "Find a spare part.", part={**TEXT, "pattern": "^[A-Z]{2}_[0-9]{3}$"}),
    tool("set_heating", "Set the heating.", degrees={"anyOf": [{"type": "number"}, {"type": "null"}]}),
]
TOOLS = offered(SESSION)
