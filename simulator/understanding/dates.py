"""Dates and times as they are said: "tomorrow", "on Friday", "the third of December", "half past seven", "7:30 pm"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from simulator.understanding.spoken import Word

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = {
    name: number
    for number, name in enumerate(
        re.findall(r"[a-z']+", "january february march april may june july august september october november december"),
        1,
    )
}
_ORDINALS = {
    name: number
    for number, name in enumerate(
        re.findall(
            r"[a-z']+",
            "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
            "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
        ),
        1,
    )
} | {"thirtieth": 30}
_RELATIVE = {"today": 0, "tonight": 0, "tomorrow": 1}
_CLOCK = re.compile(r"\b(\d{1,2})[:.](\d\d)\b")

Span = tuple[str, int, int]
"""A value, and the characters of the sentence that gave it."""


def find_date(sentence: str, words: Sequence[Word], today: date) -> Span | None:
    """Return the first date of a sentence, as YYYY-MM-DD."""
    written = re.search(r"\b\d{4}-\d\d-\d\d\b", sentence)
    if written:
        return written[0], *written.span()
    for at, word in enumerate(words):
        if word.normal in _RELATIVE:
            return (today + timedelta(_RELATIVE[word.normal])).isoformat(), word.start, word.end
        if word.normal in _DAYS:
            ahead = (_DAYS.index(word.normal) - today.weekday() - 1) % 7 + 1
            return (today + timedelta(ahead)).isoformat(), word.start, word.end
        if word.normal in _MONTHS:
            return _day_of_month(words, at, _MONTHS[word.normal], today)
    return None


def _day_of_month(words: Sequence[Word], at: int, month: int, today: date) -> Span | None:
    beside = [i for i in (at + 1, at + 2, at - 2, at - 1) if 0 <= i < len(words) and _day(words, i)]
    if not beside:
        return None
    first, last = min(beside[0], at), max(beside[0], at)
    day = _day(words, beside[0])
    try:
        found = date(today.year, month, day)
        if found < today:
            found = date(today.year + 1, month, day)
    except ValueError:
        return None
    return found.isoformat(), words[first].start, words[last].end


def _day(words: Sequence[Word], at: int) -> int:
    """Return the day of the month that this word says, or 0: "3", "third", "twenty" before "third"."""
    word = words[at].normal
    if word in _ORDINALS:
        tens = words[at - 1].normal if at else ""
        return _ORDINALS[word] + (int(tens) if tens in ("20", "30") and _ORDINALS[word] < 10 else 0)
    return int(word) if word.isdecimal() and len(word) <= 2 and 1 <= int(word) <= 31 else 0


def find_time(sentence: str, words: Sequence[Word]) -> Span | None:
    """Return the first time of a sentence, as HH:MM."""
    clock = _CLOCK.search(sentence)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60:
        return _time(int(clock[1]), int(clock[2]), sentence[clock.end() :]), *clock.span()
    for at, word in enumerate(words):
        if word.normal in ("noon", "midnight"):
            return ("12:00" if word.normal == "noon" else "00:00"), word.start, word.end
        if word.normal.isdecimal() and len(word.normal) <= 4 and _is_time(words, at):
            return _spoken_time(sentence, words, at)
    return None


def _is_time(words: Sequence[Word], at: int) -> bool:
    before = words[at - 1].normal if at else ""
    after = words[at + 1].normal if at + 1 < len(words) else ""
    return before in ("at", "past", "by", "until", "around") or after in ("am", "pm", "o'clock") or after == "p"


def _spoken_time(sentence: str, words: Sequence[Word], at: int) -> Span | None:
    digits = words[at].normal
    hour, minute = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    first = at
    if at >= 2 and words[at - 1].normal == "past" and words[at - 2].normal in ("half", "quarter"):
        minute, first = (30 if words[at - 2].normal == "half" else 15), at - 2
    if hour > 23 or minute > 59:
        return None
    return _time(hour, minute, sentence[words[at].end :]), words[first].start, words[at].end


def _time(hour: int, minute: int, after: str) -> str:
    half = re.match(r"\s*(a|p)\.?\s?m\b", after, re.IGNORECASE)
    if half and hour <= 12:
        hour = hour % 12 + (12 if half[1].lower() == "p" else 0)
    return f"{hour:02}:{minute:02}"
