"""Word error: the fewest words to insert, delete or replace, in the words that were said.

Both sides are read alike: case and punctuation do not count, a number counts as its digits ("ten forty two", "one oh
four two" and "1042" are one word), and a few spellings of one word are the same.
"""

from __future__ import annotations

import re

from simulator.understanding.spoken import words

SAME = {
    "what's": ("what", "is"),
    "i'd": ("i", "would"),
    "it's": ("it", "is"),
    "can't": ("can", "not"),
    "ok": ("okay",),
    "kilometres": ("kilometers",),
    "colour": ("color",),
    "goodbye": ("good", "bye"),
    "lookup": ("look", "up"),
    "where's": ("where", "is"),
    "that's": ("that", "is"),
}
SIGNS = {r"\$(\d+)": r"\1 dollars", "%": " percent", "°": " degrees", r"\b2nd\b": "second", r"\b3rd\b": "third"}


def read(text: str) -> list[str]:
    """Return the words of a sentence in the form in which they are compared."""
    for sign, spelled in SIGNS.items():
        text = re.sub(sign, spelled, text)
    found = [each for word in words(text) for each in SAME.get(word.normal, (word.normal.replace(".", ""),))]
    joined = re.sub(r"(?<=\d) (?=\d)", "", " ".join(found))
    return joined.split()


def errors(said: str, heard: str) -> tuple[int, int]:
    """Return how many words were wrong, and how many were said."""
    want, got = read(said), read(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(want, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1], len(want)
