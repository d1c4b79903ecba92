"""`[phone]` of an agent's file: the calls that it answers, and what it may do with them.

    [phone]
    numbers = ["+18005551212"]

    [phone.transfer_to]
    sales = "tel:+18005551213"

Who calls is what the telephone network says: it proves no identity.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator

ANY = "*"
"""As a number: every call that no other agent takes."""
MAX_TRANSFERS = 50
"""Each is described to the model, in every response."""

_TARGET = re.compile(r"tel:\+[0-9]{3,15}|sips?:[A-Za-z0-9_.+-]{1,64}@[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")
_PLACE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_BRACKETED = re.compile(r"<([^<>]*)>")
_SEPARATORS = re.compile(r"[\s().-]")
_NUMBER = re.compile(r"\+?[0-9]{2,20}")
_ADDRESS = re.compile(r"[a-z0-9_.+-]{1,64}(@[a-z0-9.:-]{1,128})?")
UNKNOWN = "unknown"
"""Stands for what no number and no address can be: an attacker writes what they like there."""


def address_of(text: str) -> str:
    """Return the number or address that a caller's network wrote: `"Ada" <sip:+4930@example>` is `+4930@example`."""
    bracketed = _BRACKETED.search(text[:512])
    bare = (bracketed[1] if bracketed else text[:512]).strip().lower()
    bare = bare.partition(";")[0].partition("?")[0]
    for scheme in ("sips:", "sip:", "tel:"):
        bare = bare.removeprefix(scheme)
    number = _SEPARATORS.sub("", bare)
    if _NUMBER.fullmatch(number):
        return number
    return bare if _ADDRESS.fullmatch(bare) else UNKNOWN


def is_same(number: str, address: str) -> bool:
    """Return true if the number of an agent's file is this address, or the part of it before the @."""
    return number in (address, address.partition("@")[0])


class Phone(BaseModel):
    """Table `[phone]` of an agent's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numbers: tuple[str, ...] = Field(min_length=1, max_length=1_000)
    """Numbers and SIP addresses that callers dial; "*" stands for every call that no other agent takes."""
    headers: dict[str, str] = Field(default_factory=dict, max_length=16)
    """SIP headers that a call must have, each with this value."""
    callers: tuple[str, ...] = Field(default=(ANY,), min_length=1, max_length=1_000)
    """Numbers and SIP addresses that may call."""
    tenant: str = "default"
    """Tenant of the calls."""
    greets: bool = True
    """The model speaks first."""
    ends_calls: bool = True
    """The model is offered `end_call`."""
    transfer_to: dict[str, str] = Field(default_factory=dict, max_length=MAX_TRANSFERS)
    """Where the model may transfer a call to: a name, and its `tel:` or `sip:` address. The model is told the names."""

    @field_validator("numbers", "callers")
    @classmethod
    def _as_they_are_compared(cls, numbers: tuple[str, ...]) -> tuple[str, ...]:
        compared = tuple(each if each == ANY else address_of(each) for each in numbers)
        for written, number in zip(numbers, compared, strict=True):
            if number == UNKNOWN:
                raise ValueError(f'{written!r} is no number: write "+18005551212", "sip:help@example.com" or "*"')
        return compared

    @field_validator("headers")
    @classmethod
    def _by_lower_names(cls, headers: dict[str, str]) -> dict[str, str]:
        return {name.lower(): value for name, value in headers.items()}

    @field_validator("transfer_to")
    @classmethod
    def _dialled_as_written(cls, targets: dict[str, str]) -> dict[str, str]:
        for name, target in targets.items():
            if not _PLACE.fullmatch(name):
                raise ValueError(f"{name!r}: name a place with a-z, 0-9, - and _, such as sales")
            if not _TARGET.fullmatch(target):
                raise ValueError(f'{name}: {target!r}: write "tel:+18005551213" or "sip:sales@example.com"')
        return targets

    def takes(self, caller: str) -> bool:
        """Return true if a caller of this address may call."""
        return any(each == ANY or is_same(each, caller) for each in self.callers)

    def has_headers(self, headers: dict[str, str]) -> bool:
        """Return true if the call has every header that the file names. Names are in lower case."""
        return all(headers.get(name) == value for name, value in self.headers.items())
