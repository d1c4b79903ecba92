"""From a good frame to one that nobody has seen before: in its values, and in its text."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.seeds import FRAGMENTS, NAMES, RAW, VALUES

MAX_MUTATIONS = 4
MAX_CHARS = 200_000
"""Of a frame: beyond it nothing new is found, and everything takes longer."""

Place = tuple[Any, Any]
"""A container, and where in it something stands."""


def mutated(seeds: list[dict[str, Any]], rng: random.Random) -> str:
    """One frame: as it was, with other values, or with another text."""
    if rng.random() < 0.02:
        text = rng.choice(RAW)
    else:
        event = copy.deepcopy(rng.choice(seeds))
        for _ in range(rng.choice((0, 0, 1, 1, 2, MAX_MUTATIONS))):
            event = _other_value(event, seeds, rng)
        text = _text(event, rng)
    if rng.random() < 0.25:
        for _ in range(rng.randint(1, MAX_MUTATIONS)):
            text = rng.choice(TEXT_MUTATIONS)(text, rng)
    return text[:MAX_CHARS]


def _text(event: Any, rng: random.Random) -> str:
    separators = rng.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:")))
    return json.dumps(event, ensure_ascii=rng.random() < 0.5, separators=separators)


def _other_value(event: dict[str, Any], seeds: list[dict[str, Any]], rng: random.Random) -> dict[str, Any]:
    places = list(_places(event))
    if not places:
        return {rng.choice(NAMES): copy.deepcopy(rng.choice(VALUES))}
    container, where = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del container[where]
    elif kind == 1 and isinstance(container, dict):
        container[rng.choice(NAMES)] = copy.deepcopy(rng.choice(VALUES))
    elif kind == 2 and isinstance(container, dict):
        container[rng.choice(NAMES)] = container.pop(where)
    elif kind == 3:
        other, there = rng.choice(list(_places(copy.deepcopy(rng.choice(seeds)))))
        container[where] = other[there]
    elif kind == 4:
        container[where] = _wrapped(container[where], rng)
    else:
        container[where] = copy.deepcopy(rng.choice(VALUES))
    return event


def _wrapped(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice((1, 1, 2, 40, 80))):
        value = [value] if rng.random() < 0.5 else {rng.choice(NAMES): value}
    return value


def _places(value: Any) -> list[Place]:
    places: list[Place] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        keys = list(each) if isinstance(each, dict) else range(len(each)) if isinstance(each, list) else ()
        places.extend((each, key) for key in keys)
        waiting.extend(each[key] for key in keys)
    return places


# — the text —


def _thrown_in(text: str, rng: random.Random) -> str:
    at = rng.randint(0, len(text))
    return text[:at] + rng.choice(FRAGMENTS) + text[at:]


def _taken_out(text: str, rng: random.Random) -> str:
    at = rng.randint(0, len(text))
    return text[:at] + text[at + rng.choice((1, 1, 2, 10)) :]


def _cut_off(text: str, rng: random.Random) -> str:
    return text[: rng.randint(0, len(text))]


def _said_twice(text: str, rng: random.Random) -> str:
    start = rng.randint(0, len(text))
    return text[:start] + text[start : start + rng.choice((1, 5, 30, 200))] * 2 + text[start:]


def _another_character(text: str, rng: random.Random) -> str:
    at = rng.randint(0, max(0, len(text) - 1))
    return text[:at] + chr(rng.choice((rng.randrange(128), rng.randrange(0xFFFF)))) + text[at + 1 :]


def _member_twice(text: str, rng: random.Random) -> str:
    return text.replace("{", "{" + rng.choice(('"type":"response.cancel",', '"x":1,"x":1,', '"audio":"AAAA",')), 1)


def _escaped(text: str, rng: random.Random) -> str:
    letters = [at for at, char in enumerate(text[:400]) if char.isalpha()]
    if not letters:
        return text
    at = rng.choice(letters)
    return f"{text[:at]}\\u{ord(text[at]):04x}{text[at + 1 :]}"


TEXT_MUTATIONS: list[Callable[[str, random.Random], str]] = [
    _thrown_in,
    _taken_out,
    _cut_off,
    _said_twice,
    _another_character,
    _member_twice,
    _escaped,
]
