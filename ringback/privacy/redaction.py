"""Redaction of arguments, results and transcripts before they are written: by shape, and by name.

By shape: card numbers, bank accounts and the like, at any place of a text (`KINDS`). By name: the fields that a tool
declares with `redact=`. A word in brackets replaces each, and says what stood there.

A shape is recognised as it is written; a number that a user spells out word by word is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = ("card", "iban", "ssn", "email", "phone", "secret")
"""Known shapes: see docs/how-to/redact-what-must-not-be-stored.md."""
DEFAULT_KINDS = ("card", "secret")
"""Shapes that are redacted by default if there is a key: a history must not hold them."""
RESULT = "result"
"""Prefix of a field's name if it is of the result and not of the arguments."""
MIN_WORD_CHARS = 4
"""Least length of a value redacted by name that is then redacted everywhere; shorter words are half of any text."""
MAX_DEPTH = 64
"""Levels of data that are searched. Deeper data is redacted as a whole, unread."""

# Groups of digits of any script, as people write and recognisers transcribe long numbers, with any separator.
_LONG_NUMBER = re.compile(
    r"(?<!\d)\d(?:[\s,./_\xad\xb7\u200b-\u200d\u2010-\u2015\u2022\u2060\u2212\ufeff-]{0,2}\d){12,2000}(?!\d)"
)
_CARD = re.compile(r"[3-6]\d{12,18}|2[2-7]\d{14}")
MIN_CARD, MAX_CARD = 13, 19
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])")
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_PHONE = re.compile(
    r"(?<![\w+])(?:(?:\+|00)[1-9](?:[ ./-]?\(?\d\)?){6,14}|\(\d{3}\) ?\d{3}[ .-]?\d{4}|\d{3}[.-]\d{3}[.-]\d{4})(?!\w)"
)
_IBAN_BEGINS = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ ]?[A-Za-z0-9])")
_SECRET = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9])(?:
        (?:sk|pk|rk)[-_][A-Za-z0-9_-]{12,}               # API keys of OpenAI, Stripe and others
      | (?:ek|rb_sk|rb_ek|rb_resume|whsec|xox[abprs]|gh[opsu])[-_][A-Za-z0-9_-]{12,}
      | rb_[A-Za-z0-9_-]{32}(?![A-Za-z0-9_-])          # a token of a gateway's settings, as we make them
      | AKIA[0-9A-Z]{16}
      | (?i:bearer)\s+[A-Za-z0-9._~+/-]{12,}=*
    )
  | -----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z ]{0,30}PRIVATE\ KEY-----|\Z)
    """
)

# A JSON web token. The search starts where such characters begin, and reads none of them again if no dot follows: a
# text of only such beginnings would otherwise take minutes.
_JWT = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9_-])
    (?>([A-Za-z0-9_-]*?) (?<![A-Za-z0-9]) eyJ[A-Za-z0-9_-]{8,}+)
    \.[A-Za-z0-9_-]{8,}+ \.[A-Za-z0-9_-]*+
    """
)

# How many characters an IBAN has in each country (ISO 13616 registry): the checksum alone would fit many texts.
_IBAN_LENGTHS = {
    country: int(length)
    for country, length in re.findall(
        r"([A-Z]{2})(\d{2})",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 "
        "FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 "
        "LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 "
        "SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 ",
    )
}


def removed(what: str) -> str:
    """Return the text that replaces a redacted value."""
    return f"[{what} removed]"


@dataclass(frozen=True, slots=True)
class Redaction:
    """Redactor of these shapes (`KINDS`) and of these exact words."""

    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=(), repr=False)

    def text(self, text: str) -> str:
        """Return the redacted text; the same object if there was no match."""
        for word in self.words:
            text = text.replace(word, removed("a field"))
        for kind in _FINDERS:
            if kind in self.kinds:
                text = _FINDERS[kind](text)
        return text

    def data(self, value: Any, names: Iterable[str] = ()) -> Any:
        """Return the redacted JSON data, also without the fields of these dotted names ("address.street").

        If a name leads through a list, it means the field in each element. Equal to `value` if there was no match.
        """
        paths = [tuple(name.split(".")) for name in names]
        return self._data(value, paths, MAX_DEPTH) if self.kinds or self.words or paths else value

    def _data(self, value: Any, paths: list[tuple[str, ...]], depth: int) -> Any:
        if not depth:
            return removed("a depth")
        if paths and not isinstance(value, dict | list | None):
            return removed(paths[0][-1])  # the parent of the redacted field is no object, so what it holds is unknown
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._data(each, paths, depth - 1) for each in value]
        if isinstance(value, dict):
            return {self.text(key): self._field(key, each, paths, depth - 1) for key, each in value.items()}
        return self._number(value) if isinstance(value, int | float) else value

    def _field(self, name: str, value: Any, paths: list[tuple[str, ...]], depth: int) -> Any:
        if (name,) in paths:
            return removed(name)
        return self._data(value, [path[1:] for path in paths if path[0] == name and len(path) > 1], depth)

    def _number(self, number: float) -> Any:
        """Redact a number that has the shape of a redacted text."""
        text = str(number)
        return number if self.text(text) == text else self.text(text)


def words_in(value: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Return the values of these fields, the longest first, if they are long enough to be recognised."""
    found = {text for name in names for text in _leaves(value, name.split("."))}
    return tuple(sorted((text for text in found if len(text) >= MIN_WORD_CHARS), key=lambda text: (-len(text), text)))


def _leaves(value: Any, path: Sequence[str]) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _leaves(each, path)
    elif isinstance(value, dict):
        for name, each in value.items():
            if not path or name == path[0]:
                yield from _leaves(each, path[1:])
    elif not path and isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def of_arguments(names: Iterable[str]) -> list[str]:
    """Return those of a tool's redacted fields that are arguments."""
    return [name for name in names if not name.startswith(f"{RESULT}.")]


def of_result(names: Iterable[str]) -> list[str]:
    """Return those that are fields of its result, by their names there."""
    return [name.partition(".")[2] for name in names if name.startswith(f"{RESULT}.")]


def _without_cards(text: str) -> str:
    return _LONG_NUMBER.sub(lambda found: _cards_out_of(found[0]), text)


def _cards_out_of(number: str) -> str:
    """Redact the card numbers in groups of digits such as `4111 1111 1111 1111 12 27`."""
    groups = list(re.finditer(r"\d+", number))
    sizes = [len(group[0]) for group in groups]
    kept, told, first = [], 0, 0
    while first < len(groups):
        for end in _ends(sizes, first):
            if _is_grouped(sizes, first, end) and _is_card("".join(group[0] for group in groups[first:end])):
                kept += [number[told : groups[first].start()], removed("card")]
                told, first = groups[end - 1].end(), end
                break
        else:
            first += 1
    return "".join([*kept, number[told:]])


def _ends(sizes: list[int], first: int) -> list[int]:
    """Return where a card's number that begins with this group may end, nearest first: a date may follow it."""
    ends: list[int] = []
    digits = 0
    if sizes[first] < 4 and sizes[first] in sizes[max(first - 1, 0) : first]:
        return ends  # in the middle of digits that are spoken one by one, or two by two
    for place in range(first, len(sizes)):
        digits += sizes[place]
        if digits > MAX_CARD:
            break
        if digits >= MIN_CARD:
            ends.append(place + 1)
    return ends


def _is_grouped(sizes: list[int], first: int, end: int) -> bool:
    """Return true if digits are grouped as on cards, since some of any row of numbers would pass the checksum."""
    own = sizes[first:end]
    if own[0] < 4:  # spoken digit by digit, or in pairs: the whole of it, or it is a list of numbers
        return len(set(own)) == 1 and own[0] not in (*sizes[max(first - 1, 0) : first], *sizes[end : end + 1])
    in_fours = set(own[:-1]) == {4} and own[-1] <= 4
    return len(own) == 1 or in_fours or own in ([4, 6, 5], [4, 6, 4])


def _is_card(digits: str) -> bool:
    digits = "".join(str(int(digit)) for digit in digits)  # of any script
    return bool(_CARD.fullmatch(digits)) and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(number - 9 if number > 9 else number for number in doubled)) % 10 == 0


def _without_ibans(text: str) -> str:
    kept, told, begin = [], 0, 0
    while found := _IBAN_BEGINS.search(text, begin):
        begin = found.end()
        end = _iban_end(text, found.start())
        if end is not None:
            kept += [text[told : found.start()], removed("iban")]
            told = begin = end
    return "".join([*kept, text[told:]]) if kept else text


def _without_secrets(text: str) -> str:
    return _JWT.sub(rf"\1{removed('secret')}", _SECRET.sub(removed("secret"), text))


def _iban_end(text: str, start: int) -> int | None:
    """Return where the IBAN ends that begins there, without counting spaces; None if it is none."""
    wanted = _IBAN_LENGTHS.get(text[start : start + 2].upper())
    kept: list[str] = []
    for place in range(start, min(len(text), start + 80)):
        if text[place] == " ":
            continue
        if wanted is None or not (text[place].isascii() and text[place].isalnum()):
            return None
        kept.append(text[place].upper())
        if len(kept) == wanted:
            rearranged = "".join([*kept[4:], *kept[:4]])
            return place + 1 if int("".join(str(int(each, 36)) for each in rearranged)) % 97 == 1 else None
    return None


def _by(pattern: re.Pattern[str], kind: str) -> Callable[[str], str]:
    return lambda text: pattern.sub(removed(kind), text)


# The surest shape first: if a card were taken for a piece of another shape, the rest would match no shape.
_FINDERS: dict[str, Callable[[str], str]] = {
    "secret": _without_secrets,
    "iban": _without_ibans,
    "ssn": _by(_SSN, "ssn"),
    "email": _by(_EMAIL, "email"),
    "card": _without_cards,
    "phone": _by(_PHONE, "phone"),
}
