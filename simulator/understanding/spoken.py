"""Spoken forms as written ones: "ten forty two" is 1042, "one oh four two" too, and "a 1042" may be the id A-1042."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = {w: n for n, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])}
_TEENS = {
    word: 10 + n
    for n, word in enumerate(
        ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
    )
}
_TENS = {
    w: 10 * n for n, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_SMALL = _UNITS | _TEENS | _TENS
# A zero beside other digits.
_OH = frozenset({"o", "oh"})
_TOKEN = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|\d+(?:[.,]\d+)*|https?://\S*[^\s.,?!]|\S+@\S+\.\w+")


@dataclass(frozen=True)
class Word:
    """One word of a sentence: as it was written, in lower case with numbers in digits, and where it stands."""

    written: str
    normal: str
    start: int
    end: int

    @property
    def is_number(self) -> bool:
        """Whether it is a number in digits."""
        return self.normal.replace(".", "", 1).isdecimal()


def words(sentence: str) -> list[Word]:
    """Return the words of a sentence; those that make up a number are one."""
    raw = [Word(m[0], m[0].lower().replace("\u2019", "'"), m.start(), m.end()) for m in _TOKEN.finditer(sentence)]
    raw = [_without_commas(word) for word in raw]
    found: list[Word] = []
    at = 0
    while at < len(raw):
        taken, digits = _number(raw, at)
        if taken:
            first, last = raw[at], raw[at + taken - 1]
            found.append(Word(sentence[first.start : last.end], digits, first.start, last.end))
        else:
            found.append(raw[at])
        at += taken or 1
    return found


def _without_commas(word: Word) -> Word:
    """Read "1,042" as 1042."""
    if re.fullmatch(r"\d{1,3}(,\d{3})+", word.normal):
        return Word(word.written, word.normal.replace(",", ""), word.start, word.end)
    return word


def _number(raw: Sequence[Word], at: int) -> tuple[int, str]:
    """Return how many words from here make up a number, and its digits; numbers side by side are read on."""
    taken, digits = 0, ""
    while at + taken < len(raw) and not (taken and _is_apart(raw, at + taken)):
        here = raw[at + taken].normal
        count, value = _group(raw, at + taken)
        if count:
            digits += str(value)
        elif here in _OH and _goes_on(raw, at + taken) and (digits or _leads(raw, at + taken)):
            count, digits = 1, digits + "0"
        elif here.isdecimal() and (digits or _goes_on(raw, at + taken)):
            count, digits = 1, digits + here
        if not count:
            break
        taken += count
    return (taken, digits) if taken and digits else (0, "")


def _is_apart(raw: Sequence[Word], at: int) -> bool:
    """Return whether a number in digits stands behind another one: "5 25" are two numbers, "1 0 4" is one."""
    here, before = raw[at].normal, raw[at - 1].normal
    return here.isdecimal() and before.isdecimal() and len(here) + len(before) > 2


def _leads(raw: Sequence[Word], at: int) -> bool:
    """Return whether two numbers follow: "oh four two" begins with a zero, "oh one moment" does not."""
    return bool(_group(raw, at + 1)[0] and _group(raw, at + 2)[0])


def _goes_on(raw: Sequence[Word], at: int) -> bool:
    """Return whether a digit, or a spelled one, stands beside this word."""
    beside = [raw[i].normal for i in (at - 1, at + 1) if 0 <= i < len(raw)]
    return any(word.isdecimal() or word in _SMALL or word in _OH for word in beside)


def _group(raw: Sequence[Word], at: int) -> tuple[int, int]:
    """Return the length and value of one spoken number: "forty two", "two hundred and five"; (0, 0) for none."""
    taken, total, value = 0, 0, 0
    while at + taken < len(raw):
        word = raw[at + taken].normal
        begins = not taken or (value == 0 and total > 0)
        if word in _SMALL and (begins or (value > 0 and value % 100 == 0 and _SMALL[word])):
            value += _SMALL[word]
        elif word in _UNITS and _UNITS[word] and value % 100 in _TENS.values():
            value += _UNITS[word]
        elif word in _SCALES and taken and value:
            value, total = (value * 100, total) if word == "hundred" else (0, total + value * _SCALES[word])
        elif word == "and" and taken and (value % 100 == 0) and _small_at(raw, at + taken + 1):
            pass
        else:
            break
        taken += 1
    return taken, total + value


def _small_at(raw: Sequence[Word], at: int) -> bool:
    return at < len(raw) and raw[at].normal in _SMALL and at >= 2 and raw[at - 2].normal in _SCALES
