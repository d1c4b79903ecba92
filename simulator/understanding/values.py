"""Finds the value of one parameter in a sentence: by its name, its choices, its pattern or example, or its type."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from simulator.understanding.dates import find_date, find_time
from simulator.understanding.offered import GENERIC, Parameter, stem
from simulator.understanding.spoken import Word, words

# What recognisers write for a letter that was spelled.
_LETTERS = {
    "at": "a",
    "eh": "a",
    "hey": "a",
    "be": "b",
    "bee": "b",
    "see": "c",
    "sea": "c",
    "dee": "d",
    "gee": "g",
    "jay": "j",
    "kay": "k",
    "el": "l",
    "em": "m",
    "en": "n",
    "pea": "p",
    "queue": "q",
    "are": "r",
    "tea": "t",
    "you": "u",
    "ex": "x",
    "why": "y",
}
# A pattern is a stranger's: it is tried on short texts only, so that one which backtracks ends soon.
_LONGEST_ID = 40
_FORMATS = {
    "email": r"\S+@\S+\.\w+",
    "uri": r"https?://\S*[^\s.,?!]",
    "uuid": r"[\da-fA-F]{8}(-[\da-fA-F]{4}){3}-\w{12}",
}
_BETWEEN = frozenset({"is", "are", "of", "to", "equals", "number", "called", "named", "id", "the", "a", "for", "as"})
_ENDS = frozenset({"and", "with", "please", "then", "at", "on", "to", "today", "tonight", "tomorrow", "now"})
_NO = frozenset({"no", "not", "without", "don't", "never", "off"})
_YES_WORDS = frozenset(
    re.findall(r"[a-z']+", "yes yeah yep sure okay ok right correct agreed absolutely certainly true")
)
_NO_WORDS = frozenset(["no", "nope", "nah", "don't", "never", "wrong", "false"])
_YES_PHRASES = re.compile(r"\b(go ahead|do it|of course|please do)\b", re.IGNORECASE)
_NO_PHRASES = re.compile(r"\b(do not|better not|rather not|not now|leave it)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """A value, and the characters of the sentence that gave it."""

    value: Any
    start: int
    end: int


@dataclass(frozen=True)
class Said:
    """A sentence with its words, the day on which it is said, and what of it has a meaning already."""

    sentence: str
    words: tuple[Word, ...]
    today: date
    used: frozenset[int] = frozenset()

    @classmethod
    def of(cls, sentence: str, today: date) -> Said:
        """Return a sentence of which no word is used yet."""
        return cls(sentence, tuple(words(sentence)), today)

    def without(self, start: int, end: int) -> Said:
        """Return the sentence with these characters used."""
        more = {i for i, word in enumerate(self.words) if word.start < end and word.end > start}
        return Said(self.sentence, self.words, self.today, self.used | more)

    def free(self) -> list[int]:
        """Return the places of the words that have no meaning yet."""
        return [i for i in range(len(self.words)) if i not in self.used]


def yes_or_no(sentence: str) -> bool | None:
    """Return what a sentence answers; None if it is neither a yes nor a no."""
    said = [word.normal for word in words(sentence)]
    if _NO_PHRASES.search(sentence) or _NO_WORDS.intersection(said):
        return False
    return True if _YES_PHRASES.search(sentence) or _YES_WORDS.intersection(said) else None


def by_name(parameter: Parameter, said: Said) -> Found | None:
    """Return the value that follows the parameter's name: "number INV-1", "size is large"."""
    for length in (len(parameter.words), 1):
        named = parameter.words[-length:] if length == len(parameter.words) else _short(parameter)
        for at in said.free():
            if named and tuple(stem(word.normal) for word in said.words[at : at + len(named)]) == named:
                found = _after(parameter, said, at + len(named))
                if found:
                    return Found(found.value, said.words[at].start, found.end)
    return None


def _short(parameter: Parameter) -> tuple[str, ...]:
    """Return the one word by which a parameter is called: "order" for order_id, "number" for number."""
    own = [word for word in parameter.words if word not in GENERIC]
    return (stem(own[0] if own else parameter.words[-1]),) if parameter.words else ()


def _after(parameter: Parameter, said: Said, at: int) -> Found | None:
    while at < len(said.words) and said.words[at].normal in _BETWEEN and said.words[at].normal != "a":
        at += 1
    if at >= len(said.words) or at in said.used:
        return None
    rest = said.words[at:]
    cut = Said(said.sentence, said.words, said.today, said.used | frozenset(range(at)))
    typed = by_type(parameter, cut)
    if typed and typed.start <= rest[0].end:
        return typed
    if parameter.kind != "string" or parameter.choices or parameter.pattern or parameter.format:
        return None
    upto = next((i for i, word in enumerate(rest) if i and word.normal in _ENDS), len(rest))
    return Found(said.sentence[rest[0].start : rest[upto - 1].end], rest[0].start, rest[upto - 1].end)


def by_type(parameter: Parameter, said: Said) -> Found | None:
    """Return the first value of the parameter's type among the words that have no meaning yet; None for plain text."""
    if parameter.choices:
        return _choice(parameter, said)
    if parameter.kind in ("integer", "number"):
        return next(_numbers(parameter.kind, said), None)
    if parameter.kind == "boolean":
        return _switch(parameter, said)
    if parameter.format in ("date", "time", "clock", "date-time"):
        return _moment(parameter.format, said)
    if parameter.format in _FORMATS:
        match = re.search(_FORMATS[parameter.format], said.sentence)
        return Found(match[0], *match.span()) if match else None
    if parameter.kind == "string" and parameter.has_ids:
        return _id(parameter, said)
    return None


def _choice(parameter: Parameter, said: Said) -> Found | None:
    stems = [stem(word.normal) for word in said.words]
    for choice in parameter.choices:
        wanted = [stem(word.normal) for word in words(str(choice).replace("_", " "))]
        for at in said.free():
            if wanted and stems[at : at + len(wanted)] == wanted:
                return Found(choice, said.words[at].start, said.words[at + len(wanted) - 1].end)
    return None


def _numbers(kind: str, said: Said) -> Iterator[Found]:
    for at in said.free():
        word = said.words[at]
        with contextlib.suppress(ValueError, OverflowError):
            negative = said.sentence[: word.start].endswith(("-", "minus ")) and not _joins(said.sentence, word.start)
            value = (-1 if negative else 1) * (int(word.normal) if kind == "integer" else float(word.normal))
            plain = int(value) if value == int(value) else value
            yield Found(plain, word.start, word.end)


def _joins(sentence: str, at: int) -> bool:
    """Return whether the mark before this place joins two words, as in "A-1042"."""
    return at >= 2 and sentence[at - 1] == "-" and sentence[at - 2].isalnum()


def _switch(parameter: Parameter, said: Said) -> Found | None:
    own = {stem(word) for word in parameter.words} - GENERIC - {"is", "with", "has"}
    for at in said.free():
        if stem(said.words[at].normal) in own:
            before = {word.normal for word in said.words[max(0, at - 2) : at]}
            return Found(not before & _NO, said.words[at].start, said.words[at].end)
    return None


def _moment(kind: str, said: Said) -> Found | None:
    day = find_date(said.sentence, said.words, said.today)
    time = find_time(said.sentence, said.words)
    if kind == "date":
        return Found(*day) if day else None
    if kind in ("time", "clock"):
        return Found(f"{time[0]}:00" if kind == "time" else time[0], *time[1:]) if time else None
    if not day or not time:
        return None
    return Found(f"{day[0]}T{time[0]}:00", min(day[1], time[1]), max(day[2], time[2]))


def _id(parameter: Parameter, said: Said) -> Found | None:
    """Return an id that fits the pattern, or is written as an example is: "a 1042" as A-1042."""
    for at in said.free():
        for first, letters, digits in _spelled(said, at):
            end = said.words[at].end
            written = said.sentence[said.words[first].start : end]
            for text in (written, *_writings(parameter, letters, digits)):
                if _fits(parameter, text):
                    return Found(text, said.words[first].start, end)
    return None


def _spelled(said: Said, at: int) -> Iterator[tuple[int, str, str]]:
    """Yield the ways to read an id that ends with this word: its first word, its letters and its digits."""
    if not said.words[at].is_number:
        return
    digits = said.words[at].normal
    before = said.words[at - 1].normal if at and at - 1 not in said.used else ""
    singles = at
    while singles and singles - 1 not in said.used and len(said.words[singles - 1].normal) == 1:
        singles -= 1
    if at - singles > 1:
        yield singles, "".join(word.normal for word in said.words[singles:at]), digits
    if before.isalpha():
        yield at - 1, before, digits
        if before in _LETTERS:
            yield at - 1, _LETTERS[before], digits
    yield at, "", digits


def _writings(parameter: Parameter, letters: str, digits: str) -> Iterator[str]:
    for example in parameter.examples:
        runs = re.fullmatch(r"([A-Za-z]*)([^A-Za-z\d]*)(\d+)", example)
        if runs and (len(runs[1]) == len(letters) or (not letters and len(runs[1]) > 1)):
            told = letters or runs[1]
            yield f"{told.upper() if runs[1].isupper() else told}{runs[2]}{digits}"
    if not parameter.examples or parameter.pattern:
        for told in (letters.upper(), letters):
            yield from (f"{told}{mark}{digits}" for mark in ("-", "", "_", " "))


def _fits(parameter: Parameter, text: str) -> bool:
    if len(text) > _LONGEST_ID:
        return False
    if parameter.pattern:
        try:
            return re.search(parameter.pattern, text) is not None
        except re.error:
            return True
    return any(_shape(text) == _shape(example) for example in parameter.examples)


def _shape(text: str) -> str:
    """Return an id's shape: that of "A-1042" is "A-9", as of "B-77"."""
    shape = re.sub(r"\d+", "9", text)
    return re.sub(r"[A-Z]", "A", re.sub(r"[a-z]", "a", shape))


def listed(text: str, kind: str) -> list[Any]:
    """Split "milk, bread and butter" into its parts, as numbers if they are to be numbers."""
    parts = [part.strip(" .?!") for part in re.split(r",|\band\b", text)]
    if kind in ("integer", "number"):
        return [found.value for part in parts for found in _numbers(kind, Said.of(part, date.min))]
    return [part for part in parts if part]


def texts(said: Said, after: Sequence[str], *, only: bool, whole: bool) -> Iterator[Found]:
    """Yield what may be a text, the likeliest first: quoted, after one of these words, capitalised, or what is left.

    Args:
        said: the sentence.
        after: words that stand before a text.
        only: nothing else than what is quoted or follows one of them.
        whole: what is left comes first, as in a list.
    """
    left = [run for at in said.free() if at == 0 or at - 1 in said.used if (run := _run(said, at, joined=whole))]
    if whole:
        yield from left
    for match in re.finditer(r"[\"“]([^\"”]+)[\"”]", said.sentence):
        yield Found(match[1], *match.span())
    for at in said.free():
        if said.words[at].normal in after and at + 1 < len(said.words):
            run = _run(said, at + 1)
            if run:
                yield run
    if only:
        return
    for at in said.free():
        if at and said.words[at].written[0].isupper() and said.words[at].normal != "i":
            last = at
            while last + 1 in said.free() and said.words[last + 1].written[0].isupper():
                last += 1
            start, end = said.words[at].start, said.words[last].end
            yield Found(said.sentence[start:end], start, end)
    yield from left


def _run(said: Said, at: int, *, joined: bool = False) -> Found | None:
    """Return the words from here to the next one that has a meaning or begins another part; joined goes on at "and"."""
    last, ends = at, _ENDS - {"and"} if joined else _ENDS
    while last < len(said.words) and last not in said.used and (last == at or said.words[last].normal not in ends):
        last += 1
    if last == at:
        return None
    start, end = said.words[at].start, said.words[last - 1].end
    return Found(said.sentence[start:end], start, end)
