"""What is said about tools without a scenario's words: their results, what they can do, and whether they may."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simulator.understanding.offered import Offered, name_words

# A listener keeps so many facts of a result in mind, and so much of a text.
_MOST_FACTS, _MOST_CHARACTERS = 4, 300
_MOST_TOOLS = 5
# The gateway's order to ask for a yes names each call: "close_account with {…}; …".
_ASKS = re.compile(r"the user must agree to it: (?P<calls>.+?)\. In one", re.DOTALL)
_CALL = re.compile(r"(?P<tool>[\w-]+) with (?P<arguments>\{.*?\})(?=; |$)", re.DOTALL)
# What is said after the functions that a server offers for its own work, by the field of their result.
_BESIDE = {
    "answer_approval": {"approved": "All right, I am doing it.", "denied": "All right, then I leave it."},
    "cancel_call": {"cancelled": "All right, I have stopped it."},
}


def result(tool: str, output: str, arguments: Mapping[str, Any]) -> str | None:
    """Return a tool's result as a short sentence; None if it is no JSON object with facts.

    Args:
        tool: its name.
        output: the text of the ``function_call_output``.
        arguments: of the call; what the user said is not told again.
    """
    try:
        told = json.loads(output)
    except ValueError:
        return None
    if not isinstance(told, Mapping):
        return None
    if tool in _BESIDE:
        return next((line for field, line in _BESIDE[tool].items() if field in told), None)
    news = {name: value for name, value in told.items() if value not in (None, "", [], {})}
    news = {name: value for name, value in news.items() if arguments.get(name) != value} or news
    facts = [_fact(name, value) for name, value in news.items()][:_MOST_FACTS]
    return _sentence(_and(facts)) if facts else None


def _fact(name: str, value: Any) -> str:
    return f"the {' '.join(name_words(name))} {'are' if isinstance(value, list) else 'is'} {_spoken(value)}"


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _and([f"{' '.join(name_words(str(name)))} {_spoken(inner)}" for name, inner in value.items()])
    if isinstance(value, list):
        return _and([_spoken(each) for each in value[:_MOST_FACTS]]) if value else "nothing"
    return str(value)


def abilities(tools: Iterable[Offered], *, also: bool = False) -> str:
    """Return a sentence on what these tools are for, perhaps beside others; empty without tools."""
    named = [_ability(tool) for tool in tools if tool.name not in _BESIDE]
    return f"I can {'also ' if also else ''}{_or(named[:_MOST_TOOLS])}." if named else ""


def _ability(tool: Offered) -> str:
    """Return the first sentence of the description if it is an order ("Look up an invoice"), or the name."""
    purpose = tool.purpose.partition(",")[0]
    short = 0 < len(purpose) <= 80
    return purpose[:1].lower() + purpose[1:] if short else f"use {tool.spoken}"


def approval(directive: str) -> str | None:
    """Return the question by which the user is asked for a yes, if a system message orders that; else None."""
    asked = _ASKS.search(directive)
    if asked is None:
        return None
    calls = [_action(call["tool"], call["arguments"]) for call in _CALL.finditer(asked["calls"])]
    return f"May I {_and(calls or [asked['calls']])}? Please say yes or no."


def _action(tool: str, arguments: str) -> str:
    try:
        given = json.loads(arguments)
    except ValueError:
        given = {}
    told = _and([f"{' '.join(name_words(str(name)))} {_spoken(value)}" for name, value in given.items()])
    return f"use {' '.join(name_words(tool))}" + (f" with {told}" if told else "")


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _or(parts: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:][:_MOST_CHARACTERS]}."
