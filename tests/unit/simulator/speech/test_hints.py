"""What is likely to be said: from the regular expressions of a scenario, and from the tools of a session."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.speech.hints import MAX_CHARACTERS, NO_HINTS, hints

HELLO = "Hello, how can I help you?"
INVOICE = {
    "type": "function",
    "name": "lookup_invoice",
    "description": "Look up an invoice. It takes a while.",
    "parameters": {"properties": {"number": {"type": "string", "description": 'on the receipt, such as "INV-17"'}}},
}
SHIRT = {
    "type": "function",
    "name": "orderShirt",
    "parameters": {"properties": {"size": {"enum": ["small", "large"]}, "how_many": {"type": "integer"}}},
}


@pytest.mark.parametrize(
    ("tools", "sentences"),
    [
        ([INVOICE], ["INV-17.", "Look up an invoice."]),
        ([SHIRT], ["small, large.", "Order shirt."]),
        ([{"type": "function", "name": "hang_up", "description": "Long " * 50}], ["Hang up."]),
        ([{"type": "function", "name": "odd", "parameters": {"properties": {"x": True}}}], ["Odd."]),
    ],
)
def test_sentences_of_tools(tools: list[dict[str, Any]], sentences: list[str]) -> None:
    assert hints([], tools).sentences == (HELLO, *sentences)


def test_without_tools_there_is_nothing_to_say() -> None:
    assert hints([], []) == hints([], [{"type": "mcp", "server_label": "x"}]) == NO_HINTS


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (r"\bw(ea|he)ther\b.*\blondon\b", {"london"}),
        (r"\b(?:pick|choose)\b.*?\bnumber\b(?:.*?(?P<low>-?\d+))?", {"pick", "choose", "number"}),
        ("where are you, parcel", {"parcel"}),
    ],
)
def test_words_of_a_scenario(pattern: str, words: set[str]) -> None:
    assert hints([pattern], []).words == words


def test_many_tools_are_cut_to_what_ears_take() -> None:
    tools = [{**INVOICE, "name": f"tool_{i}", "description": f"Look up thing {i}."} for i in range(100)]
    found = hints([r"\bweather\b"], tools).sentences
    assert len(" ".join(found)) <= MAX_CHARACTERS
    assert found[1:3] == ("INV-17.", "Look up thing 0.")
