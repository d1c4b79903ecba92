"""Settings that several processes need, and how each reads its own: environment first, then `.env`.

For a missing or bad value, one sentence at start names the variable, what is wrong with it, and what to do.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from ringback.config.database_url import missing, unusable
from ringback.config.setting_names import warn_of_unknown
from ringback.errors import ConfigurationError
from ringback.leases.lease import LEASE_SECONDS, MARGIN_SECONDS, RENEW_SECONDS, LeaseTimes
from ringback.postgres.url import postgres_url as postgres_url
from ringback.privacy.encryption import FieldCipher, keys_in
from ringback.privacy.redaction import DEFAULT_KINDS, KINDS, Redaction
from ringback.privacy.row_privacy import RowPrivacy
from ringback.redis.url import redis_url

SWEEP_SECONDS = 0.5
"""Interval at which a process that is alone sweeps; short beside the pause before a message is published again."""
SHORTEST_METRICS_TOKEN = 12
"""Least characters of a token, so that none is guessed."""

PostgresUrl = Annotated[str, AfterValidator(postgres_url)]
RedisUrl = Annotated[str, AfterValidator(redis_url)]


class DataSettings(BaseSettings):
    """Settings of redaction and of the keys that decrypt: see `ringback.privacy.row_privacy`."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    data_key: SecretStr = Field(SecretStr(""), alias="RINGBACK_DATA_KEY")
    """Keys that encrypt redacted values for the worker and the conversation, separated by commas: the first encrypts,
    each decrypts.
    """
    redact: Annotated[tuple[str, ...] | None, NoDecode] = Field(None, alias="RINGBACK_REDACT")
    """Shapes that no row shows (`ringback.privacy.redaction.KINDS`); None: cards and secrets, if there is a key."""

    @field_validator("redact", mode="before")
    @classmethod
    def _known_kinds(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        kinds = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        unknown = sorted(set(kinds) - {*KINDS, "none"})
        if unknown or ("none" in kinds and len(kinds) > 1):
            raise ValueError(f"must be none, or of {', '.join(KINDS)}, separated by commas")
        return () if kinds == ("none",) else kinds or None

    @field_validator("data_key")
    @classmethod
    def _usable_keys(cls, value: SecretStr) -> SecretStr:
        keys_in(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _nothing_is_lost(self) -> Self:
        if self.redact and not self.data_key.get_secret_value():
            raise ValueError("RINGBACK_REDACT is set and RINGBACK_DATA_KEY is not: make one with `ringback data-key`")
        return self

    @property
    def row_privacy(self) -> RowPrivacy:
        """Return the rules and the keys."""
        keys = keys_in(self.data_key.get_secret_value())
        kinds = (DEFAULT_KINDS if keys else ()) if self.redact is None else self.redact
        return RowPrivacy(Redaction(kinds), FieldCipher(keys) if keys else None)


class TelemetrySettings(BaseSettings):
    """Settings of the log, and of the metrics that Prometheus scrapes."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    log_format: Literal["text", "json"] = Field("text", alias="RINGBACK_LOG_FORMAT")
    """Format of each line of the log, which is set up before any other setting is read (`ringback.config.logs`)."""
    metrics: Literal["on", "off"] = Field("on", alias="RINGBACK_METRICS")
    """Whether the process counts what it does. It costs a hundredth of its CPU at most."""
    metrics_token: SecretStr = Field(SecretStr(""), alias="RINGBACK_METRICS_TOKEN")
    """Bearer token of a scrape. The gateway, whose port clients reach, shows no metrics without one."""

    @field_validator("metrics_token")
    @classmethod
    def _too_long_to_guess(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_METRICS_TOKEN:
            raise ValueError(
                f"it needs {SHORTEST_METRICS_TOKEN} characters or more; make one with `ringback token static`"
            )
        return value


class Stores(DataSettings, TelemetrySettings):
    """Settings of Postgres, Redis and the lease. Neither URL is ever shown: they hold passwords."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    mode: Literal["development", "production"] = Field("development", alias="RINGBACK_MODE")
    """Mode of the process. In production, checks refuse settings that are fit for trying out only."""
    database_url: PostgresUrl = Field(alias="DATABASE_URL", repr=False)
    redis_url: RedisUrl = Field(alias="REDIS_URL", repr=False)
    lease_seconds: float = Field(LEASE_SECONDS, ge=1, le=60, alias="RINGBACK_LEASE_SECONDS")
    """How long a process may be silent before others take over what it held. A longer one suits a slower machine."""
    lease_renew_seconds: float = Field(RENEW_SECONDS, ge=0.2, le=1, alias="RINGBACK_LEASE_RENEW_SECONDS")
    """Interval of renewals. At most a second, as others judge by it whether all had the time to renew."""
    lease_margin_seconds: float = Field(MARGIN_SECONDS, ge=0.2, le=30, alias="RINGBACK_LEASE_MARGIN_SECONDS")
    """How long before the end of its lease a worker that could not renew stops itself."""

    trace_pii: Literal["no", "yes"] = Field("no", alias="RINGBACK_TRACE_PII")
    """Whether traces may hold what calls are about: arguments, results, and the user's name."""

    @property
    def lease(self) -> LeaseTimes:
        """Return the three durations, which fit each other."""
        return LeaseTimes(self.lease_seconds, self.lease_renew_seconds, self.lease_margin_seconds)

    @model_validator(mode="after")
    def _lease_is_possible(self) -> Self:
        try:
            _ = self.lease
        except ConfigurationError as problem:
            raise ValueError(str(problem)) from None
        return self


S = TypeVar("S", bound=BaseSettings)


def load(settings: type[S], **given: Any) -> S:
    """Read `settings` from the environment; `given` values win.

    Raises:
        ConfigurationError: a value is missing or bad; the text names each variable and what it must be.
    """
    warn_of_unknown()
    try:
        return settings(**given)
    except SettingsError as problem:  # raised before any check, and its text names the field only
        field = str(problem).partition('"')[2].partition('"')[0]
        name = settings.model_fields[field].alias or field
        raise ConfigurationError(f"{name} is not usable: it must be JSON") from None
    except ValidationError as problem:
        raise ConfigurationError("; ".join(_sentence(error) for error in problem.errors())) from None


def _sentence(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return missing(name)
    reason = str(error["msg"]).removeprefix("Value error, ")
    # A rule about several variables names them itself.
    return unusable(name, reason) if name else reason
