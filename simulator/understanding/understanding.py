"""Matches a sentence to the tools that a session offers, fills in the parameters, and asks for what is missing.

Each step is a function of the sentence, the tools and the question that is open, so that a conversation can be followed
again from its items. ``scripting.script`` asks here when no rule of the scenario matches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simulator.understanding.offered import GENERIC, IDLE, Offered, Parameter, stem
from simulator.understanding.spoken import words
from simulator.understanding.values import Found, Said, by_name, by_type, listed, texts, yes_or_no

# A name's word counts three times a word of the description: one such word is enough, two others are not.
_NAME, _PARAMETER, _CHOICE, _ABOUT, _ID, _WHOLE_NAME = 3, 1, 2, 1, 2, 6
_ENOUGH = 3
# A shorter name may stand in another word by accident.
_SHORTEST_NAME = 4
# After so many sentences without a value the question is dropped.
_MOST_ASKED = 2
# Before what a text is about: "the weather in Paris", "a page about tea".
_BEFORE_A_TEXT = ("about", "called", "named", "in", "for", "of", "to", "on", "with", "at", "from")
# The same for parameters that are one end of a way.
_ENDS_OF_A_WAY = {
    **dict.fromkeys(("origin", "source", "start", "sender", "departure"), ("from",)),
    **dict.fromkeys(("destination", "target", "to", "receiver", "recipient", "arrival"), ("to", "for")),
}
# Verbs and nouns of names that do not tell one tool from another.
_COMMON = frozenset(
    {"lookup", "status", "list", "query", "search", "create", "make", "set", "tool", "function", "info"}
)
NEVER_MIND = re.compile(r"\b(never ?mind|forget (it|that|about it)|cancel that|stop that|leave it)\b", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"^\W*(?:(?:it'?s|it is|that'?s|i mean|make it|use|take|please|the|in|for|at|to|about|on|from|with)\s+)+",
    re.IGNORECASE,
)
_LEAD_OUT = re.compile(r"[\s,]*\b(?:please|thanks|thank you)?\W*$", re.IGNORECASE)


@dataclass(frozen=True)
class ToolUse:
    """A call that a sentence asks for, with its arguments."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """What is to be asked before a tool can be called: one parameter that has no value yet."""

    tool: str
    arguments: Mapping[str, Any]
    parameter: str
    text: str
    times: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Dropped:
    """The open question is not to be asked again: the user does not want the call."""


Understood = ToolUse | Question | Dropped


def understand(said: Said, tools: Sequence[Offered], question: Question | None = None) -> Understood | None:
    """Return what a sentence leads to; None if it fits no tool.

    Args:
        said: the sentence.
        tools: what the session offers.
        question: what the user was asked just before.
    """
    asked = next((tool for tool in tools if question and tool.name == question.tool), None)
    if question is None or asked is None:
        return _begun(said, tools)
    if NEVER_MIND.search(said.sentence):
        return Dropped()
    return _answered(said, tools, asked, question)


def _begun(said: Said, tools: Sequence[Offered]) -> Understood | None:
    tool = max(tools, key=lambda each: (_score(each, said), _named_share(each, said)), default=None)
    if tool is None or _score(tool, said) < _ENOUGH:
        return None
    return _next_step(tool, _filled(tool, _without_name(tool, said), {}))


def _answered(said: Said, tools: Sequence[Offered], tool: Offered, question: Question) -> Understood | None:
    parameter = next((each for each in tool.parameters if each.name == question.parameter), None)
    if parameter is None:
        return _begun(said, tools)
    found = _answer(parameter, said)
    other = _begun(said, tools)
    switches = isinstance(other, ToolUse | Question) and other.tool != tool.name
    if switches and (found is None or parameter.is_text):
        return other
    if found is None:
        again = replace(question, text=f"Sorry, {_lowered(question.text)}", times=question.times + 1)
        return again if question.times < _MOST_ASKED else Dropped()
    rest = said.without(found.start, found.end)
    known = {**question.arguments, parameter.name: found.value}
    return _next_step(tool, _filled(tool, rest, known, answers=True))


def _answer(parameter: Parameter, said: Said) -> Found | None:
    """Return the value in an answer; any words will do for a text."""
    whole = Found(said.sentence, 0, len(said.sentence))
    if parameter.kind == "boolean":
        answer = yes_or_no(said.sentence)
        return None if answer is None else replace(whole, value=answer)
    if found := by_type(parameter, said) or by_name(parameter, said):
        return found
    text = _bare(said.sentence)
    if parameter.kind == "array":
        values = listed(text, parameter.items)
        return replace(whole, value=values) if values else None
    return replace(whole, value=text) if text and (parameter.is_text or parameter.has_ids) else None


def _bare(text: str) -> str:
    """Return an answer without the words around it: "it's Paris, please" is Paris."""
    return _LEAD_OUT.sub("", _LEAD_IN.sub("", text)).strip(" \t.?!")


def _score(tool: Offered, said: Said) -> int:
    """Return how much of a sentence speaks for a tool."""
    heard = {stem(word.normal) for word in said.words} - IDLE
    telling = _telling(tool)
    score = _NAME * len(heard & telling) + _ABOUT * len(heard & (tool.about - telling))
    joined = re.sub(r"\W+", "", said.sentence.lower())
    if len("".join(tool.words)) >= _SHORTEST_NAME and "".join(tool.words) in joined:
        score += _WHOLE_NAME
    for parameter in tool.parameters:
        score += _PARAMETER * len(heard & ({stem(word) for word in parameter.words} - IDLE - GENERIC - telling))
        if parameter.choices and by_type(parameter, said):
            score += _CHOICE
        elif parameter.has_ids and (found := by_type(parameter, said)):
            score += _id_score(parameter, str(found.value), said.sentence[found.start : found.end])
    return score


def _id_score(parameter: Parameter, value: str, said: str) -> int:
    """Return how much an id says: more with the very letters of an example, nothing if only digits were said."""
    letters = _letters(value)
    if not letters or not _letters(said):
        return 0
    return _ID + int(any(letters == _letters(example) for example in parameter.examples))


def _telling(tool: Offered) -> set[str]:
    """Return the words of a name that tell this tool from others."""
    own = {stem(word) for word in tool.words} - IDLE
    return (own - _COMMON) or own


def _named_share(tool: Offered, said: Said) -> float:
    """Return how much of its name was said: for "my order", ``order_status`` is closer than ``order_shirt``."""
    telling = _telling(tool)
    return len(telling & {stem(word.normal) for word in said.words}) / max(1, len(telling))


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text)).lower()


def _without_name(tool: Offered, said: Said) -> Said:
    """Use up the words that named the tool, but those of a parameter that is named alike."""
    kept = {stem(word) for parameter in tool.parameters for word in parameter.words}
    own = {stem(word) for word in tool.words} - kept
    for at, word in enumerate(said.words):
        if stem(word.normal) in own or (at + 1 < len(said.words) and _names(tool, said, at)):
            said = said.without(word.start, word.end)
    return said


def _names(tool: Offered, said: Said, at: int) -> bool:
    """Return whether this word and the next are one word of the name: "look up" is "lookup"."""
    one = said.words[at].normal
    before = said.words[at - 1].normal if at else ""
    return one + said.words[at + 1].normal in tool.words or before + one in tool.words


def _filled(tool: Offered, said: Said, known: Mapping[str, Any], *, answers: bool = False) -> dict[str, Any]:
    """Return the arguments that a sentence gives, beside those that are known."""
    filled = dict(known)
    required_first = sorted(tool.parameters, key=lambda each: not each.required)
    for find in (by_name, by_type):
        for parameter in required_first:
            found = find(parameter, said) if parameter.name not in filled else None
            if found:
                filled[parameter.name] = found.value
                said = said.without(found.start, found.end)
    if not answers:
        for parameter in required_first:
            if parameter.required and parameter.name not in filled and (found := _text(tool, parameter, said)):
                filled[parameter.name] = found.value
                said = said.without(found.start, found.end)
    return {each.name: filled[each.name] for each in tool.parameters if each.name in filled}


def _text(tool: Offered, parameter: Parameter, said: Said) -> Found | None:
    """Return the part of a sentence that a text or a list is about."""
    if not (parameter.is_text or parameter.kind == "array"):
        return None
    about = {stem(word) for word in tool.words} | tool.about | {stem(word) for word in parameter.words}
    after = next((_ENDS_OF_A_WAY[word] for word in parameter.words if word in _ENDS_OF_A_WAY), None)
    for found in texts(said, after or _BEFORE_A_TEXT, only=after is not None, whole=parameter.kind == "array"):
        content = {stem(word.normal) for word in words(str(found.value))} - IDLE - about
        if content:
            value = _bare(str(found.value))
            return replace(found, value=listed(value, parameter.items) if parameter.kind == "array" else value)
    return None


def _next_step(tool: Offered, arguments: dict[str, Any]) -> Understood:
    missing = next((each for each in tool.parameters if each.required and each.name not in arguments), None)
    if missing is None:
        return ToolUse(tool.name, arguments)
    return Question(tool.name, arguments, missing.name, _question(missing))


def _question(parameter: Parameter) -> str:
    name = parameter.spoken
    if parameter.choices:
        *most, last = map(str, parameter.choices)
        return f"Which {name}: {', '.join(most)} or {last}?" if most else f"Which {name}: {last}?"
    if parameter.kind == "boolean":
        return f"Yes or no: {name}?"
    if parameter.format in ("date", "date-time"):
        return "On which day, and when?" if parameter.format == "date-time" else "On which day?"
    if parameter.format in ("time", "clock"):
        return "At what time?"
    if parameter.kind == "integer" and name.endswith("s") and not name.endswith("ss"):
        return f"How many {name}?"
    return f"Which {name}?"


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
