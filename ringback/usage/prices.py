"""Usage of a response, and its price. (Realtime API, `response.done`, `usage`.)

A price is in US dollars for a million tokens, which is also millionths of a dollar ("micros") for one token. Tokens
come in three kinds (text, audio, image). The Realtime API has a price of each for input, cached input and output.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringback.errors import ConfigurationError
from ringback.record_fields import by_name

MAX_TOKENS = 10**9
"""Most tokens of one kind in one response: more than any model holds, and small enough that sums never overflow."""
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response, by kind. Cached input tokens are not counted among the other kinds."""

    text_in: int = 0
    audio_in: int = 0
    image_in: int = 0
    text_cached: int = 0
    audio_cached: int = 0
    image_cached: int = 0
    text_out: int = 0
    audio_out: int = 0

    @property
    def input_tokens(self) -> int:
        """Return all input tokens, cached or not."""
        return self.text_in + self.audio_in + self.image_in + self.text_cached + self.audio_cached + self.image_cached

    @property
    def output_tokens(self) -> int:
        """Return all output tokens, reasoning included."""
        return self.text_out + self.audio_out

    @property
    def told(self) -> Usage:
        """Return the input alone."""
        return replace(self, text_out=0, audio_out=0)

    def as_json(self) -> dict[str, int]:
        """Return it as `responses.tokens` has it, without unused kinds."""
        return {kind: tokens for kind, tokens in by_name(self).items() if tokens}

    @classmethod
    def of(cls, usage: Mapping[str, Any]) -> Usage:
        """Parse a `usage`, even if parts are missing or make no sense.

        Tokens of no named kind count as audio, the dearest: an unknown kind must not overdraw a budget.
        """
        told, answered = _table(usage, "input_token_details"), _table(usage, "output_token_details")
        kinds = {kind: _tokens(told, f"{kind}_tokens") for kind in ("text", "image", "audio")}
        kinds["audio"] += max(0, _tokens(usage, "input_tokens") - sum(kinds.values()))
        cached = _cached(told, kinds)
        text_out, audio_out = _tokens(answered, "text_tokens"), _tokens(answered, "audio_tokens")
        audio_out += max(0, _tokens(usage, "output_tokens") - text_out - audio_out)
        audio_out += max(0, _tokens(usage, "total_tokens") - sum(kinds.values()) - text_out - audio_out)
        return cls(
            text_in=kinds["text"] - cached["text"],
            audio_in=kinds["audio"] - cached["audio"],
            image_in=kinds["image"] - cached["image"],
            text_cached=cached["text"],
            audio_cached=cached["audio"],
            image_cached=cached["image"],
            text_out=text_out,
            audio_out=audio_out,
        )


def _cached(told: Mapping[str, Any], kinds: Mapping[str, int]) -> dict[str, int]:
    """Return the cached tokens by kind, at most as many as there are. Without a breakdown, the cheapest kind comes
    first.
    """
    details = told.get("cached_tokens_details")
    if isinstance(details, Mapping):
        return {kind: min(_tokens(details, f"{kind}_tokens"), tokens) for kind, tokens in kinds.items()}
    left, cached = _tokens(told, "cached_tokens"), {}
    for kind, tokens in kinds.items():
        cached[kind] = min(left, tokens)
        left -= cached[kind]
    return cached


def _table(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, Mapping) else {}


def _tokens(holder: Mapping[str, Any], name: str) -> int:
    value = holder.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return 0
    return int(min(max(value, 0), MAX_TOKENS))


class Rate(BaseModel):
    """US dollars for a million tokens of one kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Decimal = Field(default=Decimal(0), ge=0, le=1_000_000)
    cached_input: Decimal | None = Field(default=None, ge=0, le=1_000_000)
    """None: as any other input."""
    output: Decimal = Field(default=Decimal(0), ge=0, le=1_000_000)

    def micros(self, told: int, cached: int, answered: int = 0) -> Decimal:
        """Return the price of so many tokens."""
        remembered = self.input if self.cached_input is None else self.cached_input
        return self.input * told + remembered * cached + self.output * answered


class Price(BaseModel):
    """Price of one model; a kind that is missing costs what text does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Rate
    audio: Rate | None = None
    image: Rate | None = None

    def micros(self, usage: Usage) -> int:
        """Return the price of one response, in millionths of a US dollar, rounded up."""
        audio, image = self.audio or self.text, self.image or self.text
        total = (
            self.text.micros(usage.text_in, usage.text_cached, usage.text_out)
            + audio.micros(usage.audio_in, usage.audio_cached, usage.audio_out)
            + image.micros(usage.image_in, usage.image_cached)
        )
        return int(total.to_integral_value(ROUND_CEILING))


class Prices(BaseModel):
    """Price table: a TOML file with a table `[models."<name>"]` for each model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, Price]

    def of(self, model: str) -> Price | None:
        """Return the model's price, or that of the model of which it is a snapshot (`…-2025-08-28`); None: unknown."""
        return self.models.get(model) or self.models.get(_SNAPSHOT.sub("", model))

    def micros(self, model: str, usage: Usage) -> int | None:
        """Return what a response cost, in millionths of a US dollar; None: the model has no price here."""
        price = self.of(model)
        return None if price is None else price.micros(usage)

    def under(self, others: Prices) -> Prices:
        """Return this table with the others' models over its own."""
        return Prices(models={**self.models, **others.models})


def load_prices(path: Path) -> Prices:
    """Load the price table in a file.

    Raises:
        ConfigurationError: it cannot be read, or is wrong; the text names the file and the place in it.
    """
    try:
        return Prices.model_validate(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal))
    except OSError as problem:
        raise ConfigurationError(f"the price table {path} cannot be read: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"the price table {path} is not TOML: {problem}") from None
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"the price table {path}: {where}: {first['msg']}") from None
