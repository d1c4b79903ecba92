"""What is taken out of arguments, results and transcripts before they are written down: by shape, and by name.

By shape: card numbers, bank accounts and the like, wherever they stand in a text (`KINDS`). By name: the fields that a
tool declares with `redact=`. What is found is replaced by a word in brackets that says what stood there.

A shape is recognised as it is written; a number that somebody spells out word by word is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

KINDS = ("card", "iban", "ssn", "email", "phone", "secret")
"""The shapes that are known: see docs/how-to/redact-what-must-not-be-stored.md."""
DEFAULT_KINDS = ("card", "secret")
"""Taken out wherever there is a key, unless somebody says otherwise: nobody wants to find them in a history."""
RESULT = "result"
"""What the name of a field begins with where it is not an argument's."""
MIN_WORD_CHARS = 4
"""Of what was taken out by name, to be taken out wherever else it stands; shorter words would be half of any text."""
MAX_DEPTH = 64
"""Levels of data that are looked into; what lies deeper is taken out as a whole, since nobody has looked."""

# Groups of digits of any script, as people write and recognisers transcribe long numbers, whatever stands between.
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

# A JSON web token. It is looked for from where such characters begin, and none of them is read again where there is
# no dot behind them: a text of nothing but beginnings would otherwise take minutes.
_JWT = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9_-])
    (?>([A-Za-z0-9_-]*?) (?<![A-Za-z0-9]) eyJ[A-Za-z0-9_-]{8,}+)
    \.[A-Za-z0-9_-]{8,}+ \.[A-Za-z0-9_-]*+
    """
)

# How many characters an IBAN has in each country (ISO 13616 registry): a sum alone would be right for many texts.
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
    """What stands where something was."""
    return f"[{what} removed]"


@dataclass(frozen=True, slots=True)
class Redaction:
    """Takes out what has one of these shapes (`KINDS`), and these very words."""

    kinds: tuple[str, ...] = ()
    words: tuple[str, ...] = field(default=(), repr=False)

    def text(self, text: str) -> str:
        """The text without it; the very same object where nothing was found."""
        for word in self.words:
            text = text.replace(word, removed("a field"))
        for kind in _FINDERS:
            if kind in self.kinds:
                text = _FINDERS[kind](text)
        return text

    def data(self, value: Any, names: Iterable[str] = ()) -> Any:
        """JSON data without it, and without the fields of these dotted names ("address.street").

        A name means the field in each element where it leads through a list. Equal to `value` where nothing was found.
        """
        paths = [tuple(name.split(".")) for name in names]
        return self._data(value, paths, MAX_DEPTH) if self.kinds or self.words or paths else value

    def _data(self, value: Any, paths: list[tuple[str, ...]], depth: int) -> Any:
        if not depth:
            return removed("a depth")
        if paths and not isinstance(value, dict | list | None):
            return removed(paths[0][-1])  # what was to hold the field is no object: nobody knows what is in it
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
        """A number may be one that is meant as text."""
        text = str(number)
        return number if self.text(text) == text else self.text(text)


def words_in(value: Any, names: Iterable[str]) -> tuple[str, ...]:
    """What the fields of these names hold, as far as it is long enough to be known again; the longest first."""
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
    """Those of a tool's redacted fields that are arguments."""
    return [name for name in names if not name.startswith(f"{RESULT}.")]


def of_result(names: Iterable[str]) -> list[str]:
    """Those that are fields of its result, as they are called there."""
    return [name.partition(".")[2] for name in names if name.startswith(f"{RESULT}.")]


def _without_cards(text: str) -> str:
    return _LONG_NUMBER.sub(lambda found: _cards_out_of(found[0]), text)


def _cards_out_of(number: str) -> str:
    """Of groups such as `4111 1111 1111 1111 12 27` those that are a card's number."""
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
    """Where a card's number that begins with this group may end, the nearest first: what follows it may be a date."""
    ends: list[int] = []
    digits = 0
    if sizes[first] < 4 and sizes[first] in sizes[max(first - 1, 0) : first]:
        return ends  # in the middle of digits that are said one by one, or two by two
    for place in range(first, len(sizes)):
        digits += sizes[place]
        if digits > MAX_CARD:
            break
        if digits >= MIN_CARD:
            ends.append(place + 1)
    return ends


def _is_grouped(sizes: list[int], first: int, end: int) -> bool:
    """Grouped as cards are, since among any numbers one after the other some would add up."""
    own = sizes[first:end]
    if own[0] < 4:  # said digit by digit, or in pairs: the whole of it, or it is a list of numbers
        return len(set(own)) == 1 and own[0] not in (*sizes[max(first - 1, 0) : first], *sizes[end : end + 1])
    in_fours = set(own[:-1]) == {4} and own[-1] <= 4
    return len(own) == 1 or in_fours or own in ([4, 6, 5], [4, 6, 4])


def _is_card(digits: str) -> bool:
    digits = "".join(str(int(digit)) for digit in digits)  # of whatever script they are
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
    """Where the IBAN ends that begins there, spaces counted out; None where there is none."""
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


# The surest shape first: what is left of a text when a card was taken for a piece of something else is no shape at all.
_FINDERS: dict[str, Callable[[str], str]] = {
    "secret": _without_secrets,
    "iban": _without_ibans,
    "ssn": _by(_SSN, "ssn"),
    "email": _by(_EMAIL, "email"),
    "card": _without_cards,
    "phone": _by(_PHONE, "phone"),
}
