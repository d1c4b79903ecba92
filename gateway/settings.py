"""The gateway's settings. Each bound has one line that says why it is what it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.auth.authenticator import RECORDINGS, SCOPES, TRANSCRIPTS, TRUSTED, StaticToken
from gateway.auth.jwt_settings import ALGORITHMS, is_safe_source
from gateway.auth.origins import origin
from gateway.upstream.call_endpoints import sideband_url
from gateway.upstream.connection import Target
from gateway.upstream.providers import PROVIDERS, SIMULATOR, Provider, ProviderName
from gateway.webhook_signing import BadSecret, key_of
from ringback.agents.quotas import Dollars, Quotas, Sessions, Tokens
from ringback.config.settings import Stores
from ringback.config.web_address import SHAPE, parts_of

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110, 5.6.2."""
MARKS = frozenset({TRUSTED, TRANSCRIPTS, RECORDINGS})
"""Scopes that a token of RINGBACK_TOKENS has if its name follows, after a colon."""


def split(value: object) -> object:
    """Split a text at its commas; return any other value as it is."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _static(token: str) -> StaticToken:
    """Return one token of RINGBACK_TOKENS, without the marks at its end. The token itself may hold colons."""
    marks: set[str] = set()
    while (last := token.rpartition(":"))[2] in MARKS and last[0]:
        token = last[0]
        marks.add(last[2])
    return StaticToken(SecretStr(token), frozenset(marks))


class GatewaySettings(Stores):
    """Read with `ringback.config.settings.load`; see .env.example for each variable."""

    realtime_provider: ProviderName = Field(SIMULATOR.name, alias="REALTIME_PROVIDER")
    """Which of `gateway.upstream.providers` to call; "custom" takes REALTIME_URL and REALTIME_HEADERS as they are."""
    realtime_url: str | None = Field(None, alias="REALTIME_URL")
    """The WebSocket URL, if it is not the provider's default: `wss://…/v1/realtime`."""
    simulator_url: str | None = Field(None, alias="RINGBACK_SIMULATOR_URL")
    """REALTIME_URL of the provider "simulator" alone: a provider with an address of its own keeps it."""
    realtime_api_key: SecretStr = Field(SecretStr(""), alias="REALTIME_API_KEY")
    """The key. It goes only into one header of the upstream connection."""
    realtime_headers: dict[str, str] = Field(default_factory=dict, alias="REALTIME_HEADERS", repr=False)
    """More headers for the upstream connection, as a JSON object."""
    realtime_model: str | None = Field(None, alias="REALTIME_MODEL")
    """The model (on Azure: the deployment) of every agent; overrides the agents' files."""

    tokens: Annotated[dict[str, StaticToken], NoDecode] = Field(default_factory=dict, alias="RINGBACK_TOKENS")
    """Static tokens, as `user:token,user:token:trusted`: the name stands in the history, a `trusted` token is a
    backend's, one with `transcripts` reads in the console what was said, and one with `recordings` hears it."""
    retention_days: int | None = Field(None, ge=1, le=36_500, alias="RINGBACK_RETENTION_DAYS")
    """Days that a session is kept after its end, if its tenant has no setting; None: for ever."""
    recording_days: int = Field(30, ge=1, le=36_500, alias="RINGBACK_RECORDING_DAYS")
    """Days that a recording of both voices is kept, and never longer than its session."""
    origins: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_ORIGINS")
    """Web pages that may connect, as `https://app.example.com`, each exactly as a browser sends it."""
    max_client_secrets: int = Field(10_000, ge=1, le=1_000_000, alias="RINGBACK_MAX_CLIENT_SECRETS")
    """Client secrets of one tenant that may be valid at once: users who are about to call, and a bound on the table."""
    jwt_jwks: str | None = Field(None, alias="RINGBACK_JWT_JWKS")
    """URL or file of an identity provider's public keys (a JWK set). None: the gateway takes no JWTs."""
    jwt_issuer: str | None = Field(None, alias="RINGBACK_JWT_ISSUER")
    """`iss` of its tokens, compared exactly."""
    jwt_audience: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_JWT_AUDIENCE")
    """`aud` of its tokens: one of these. A token for another service of the same provider is refused."""
    jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(("RS256", "ES256"), alias="RINGBACK_JWT_ALGORITHMS")
    """Algorithms that may sign a token. The token's own header never adds one."""
    jwt_user_claim: str = Field("sub", min_length=1, alias="RINGBACK_JWT_USER_CLAIM")
    """The claim that holds the user's name."""
    jwt_tenant_claim: str | None = Field(None, min_length=1, alias="RINGBACK_JWT_TENANT_CLAIM")
    """The claim that holds the tenant; None: every user is of the tenant `default`."""
    jwt_scope_claim: str = Field("scope", min_length=1, alias="RINGBACK_JWT_SCOPE_CLAIM")
    """The claim that lists scopes, for tools that ask for one."""
    jwt_gateway_scopes: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_JWT_GATEWAY_SCOPES")
    """The gateway's scopes that the provider may give beside `realtime`: its own "admin" means something else."""
    jwt_claims: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_JWT_CLAIMS")
    """Claims that are handed to tools."""
    agents_folder: Path = Field(Path("agents"), alias="RINGBACK_AGENTS")
    """The agents' TOML files."""
    default_agent: str | None = Field(None, alias="RINGBACK_DEFAULT_AGENT")
    """The agent of a client that names none. None: the only agent, or the one named `demo`."""

    public_url: str | None = Field(None, alias="RINGBACK_PUBLIC_URL")
    """URL of the gateway as others reach it, without a path: Twilio signs it, and is told to come back to it."""
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), alias="OPENAI_WEBHOOK_SECRET")
    """Secret with which OpenAI signs its webhooks, which announce phone calls; of several, each verifies."""
    twilio_auth_tokens: Annotated[tuple[SecretStr, ...], NoDecode] = Field((), alias="TWILIO_AUTH_TOKEN")
    """Auth token of the Twilio account whose calls the gateway takes; of several, the first is used and each
    verifies."""
    twilio_api_url: str = Field("https://api.twilio.com", alias="TWILIO_API_URL")
    """Twilio's REST API, which transfers calls."""

    host: str = Field("127.0.0.1", alias="RINGBACK_HOST")
    """Loopback by default: a public bind is the operator's decision."""
    behind_tls: Literal["no", "yes"] = Field("no", alias="RINGBACK_BEHIND_TLS")
    """Says that every client reaches the gateway through TLS. The gateway itself cannot tell."""
    port: int = Field(8080, ge=0, le=65_535, alias="RINGBACK_PORT")
    processes: int = Field(1, ge=1, le=64, alias="RINGBACK_GATEWAY_PROCESSES")
    """Processes that serve the port, each with the bounds below for itself: one for each core that it may have."""
    tls_certificate: Path | None = Field(None, alias="RINGBACK_TLS_CERTIFICATE")
    """A PEM file with the gateway's certificate chain, if no proxy in front speaks TLS. None: plain HTTP."""
    tls_key: Path | None = Field(None, alias="RINGBACK_TLS_KEY")
    """A PEM file with its private key."""
    max_sessions: int = Field(400, ge=1, le=100_000, alias="RINGBACK_MAX_SESSIONS")
    """What one core carries of sessions that pause; it carries half as many that talk all the time."""
    max_frame_bytes: int = Field(2 * 1024 * 1024, ge=65_536, alias="RINGBACK_MAX_FRAME_BYTES")
    """Of one client frame: 30 s of audio in one piece; the Realtime API itself would take 15 MiB."""
    upstream_connect_seconds: float = Field(10.0, gt=0, le=60, alias="RINGBACK_UPSTREAM_CONNECT_SECONDS")
    """Until the Realtime API takes the connection, and again until it confirms the session: a caller hangs up after a
    longer silence."""
    upstream_retry_seconds: float = Field(30.0, ge=0, le=600, alias="RINGBACK_UPSTREAM_RETRY_SECONDS")
    """How long the gateway reconnects to a Realtime API that dropped a session before the session ends: a caller
    listens to silence no longer. 0: a session ends with its connection."""
    rotate_before_seconds: float = Field(300.0, gt=0, le=3_000, alias="RINGBACK_ROTATE_BEFORE_SECONDS")
    """How long before `expires_at` a conversation moves to a new connection: time to find a pause in the talk."""
    call_wait_seconds: float = Field(10.0, ge=0, le=120, alias="RINGBACK_CALL_WAIT_SECONDS")
    """How long a call waits if Postgres is away; then the model is told that it cannot be run now."""
    resume_seconds: float = Field(120.0, ge=1, le=86_400, alias="RINGBACK_RESUME_SECONDS")
    """How long a client may resume its session: a lift, a tunnel, a page that is reloaded."""
    drain_seconds: float = Field(25.0, ge=0, le=3_600, alias="RINGBACK_DRAIN_SECONDS")
    """How long a gateway that is told to stop lets its responses end. Most orchestrators kill after 30 s."""
    database_pool: int = Field(10, ge=1, le=200, alias="RINGBACK_DATABASE_POOL")
    """Connections of this process to Postgres: a statement takes a millisecond, so ten carry thousands a second."""

    sessions_per_user: Sessions | None = Field(100, alias="RINGBACK_SESSIONS_PER_USER")
    """Sessions of one user at once, over all gateways, if the tenant sets no limit: no person talks in more."""
    sessions_per_tenant: Sessions | None = Field(None, alias="RINGBACK_SESSIONS_PER_TENANT")
    """Sessions of one tenant at once, over all gateways: one tenant must not take every place."""
    tokens_per_user_per_day: Tokens | None = Field(None, alias="RINGBACK_TOKENS_PER_USER_PER_DAY")
    """Tokens that one user's responses may use in a UTC day, as the Realtime API counts them."""
    tokens_per_tenant_per_day: Tokens | None = Field(None, alias="RINGBACK_TOKENS_PER_TENANT_PER_DAY")
    """Tokens for all users of a tenant together."""
    cost_per_user_per_day: Dollars | None = Field(None, alias="RINGBACK_COST_PER_USER_PER_DAY")
    """US dollars for one user in a UTC day, by the price table."""
    cost_per_tenant_per_day: Dollars | None = Field(None, alias="RINGBACK_COST_PER_TENANT_PER_DAY")
    """US dollars for all users of a tenant together."""
    prices: Path | None = Field(None, alias="RINGBACK_PRICES")
    """The operator's price table (TOML); its models replace those of gateway/budgets/prices.toml."""

    @property
    def provider(self) -> Provider:
        """The provider that REALTIME_PROVIDER names."""
        return PROVIDERS[self.realtime_provider]

    @property
    def provider_url(self) -> str | None:
        """The WebSocket URL that wins over the provider's own; None where none is set."""
        return self.realtime_url or (self.simulator_url if self.provider.is_simulated else None)

    def provider_headers(self, user: str) -> dict[str, str]:
        """Return the headers of a request that is made for this user, with the key."""
        key = self.realtime_api_key.get_secret_value()
        return self.provider.headers(user, key=key, headers=self.realtime_headers)

    def target(self, model: str, user: str) -> Target:
        """Return where the session of this user goes; `model` is the agent's."""
        key, model = self.realtime_api_key.get_secret_value(), self.realtime_model or model
        return self.provider.target(model, user, url=self.provider_url, key=key, headers=self.realtime_headers)

    def sideband(self, call_id: str, user: str) -> Target:
        """Return where a gateway attaches to a live call of this user; raises CallRefused."""
        provider = self.provider
        url = sideband_url(provider, call_id, url=self.provider_url)
        return Target(url, self.provider_headers(user), provider.quirks)

    @property
    def allowances(self) -> Quotas:
        """Quotas of a tenant that sets none."""
        return Quotas(
            sessions=self.sessions_per_tenant,
            sessions_per_user=self.sessions_per_user,
            tokens_per_day=self.tokens_per_tenant_per_day,
            tokens_per_user_per_day=self.tokens_per_user_per_day,
            cost_per_day=self.cost_per_tenant_per_day,
            cost_per_user_per_day=self.cost_per_user_per_day,
        )

    @field_validator("tokens", mode="before")
    @classmethod
    def _split_tokens(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.strip().partition(":") for pair in value.split(",") if pair.strip()]
        if not all(user and separator and token for user, separator, token in pairs):
            raise ValueError("must look like user:token,user:token")
        tokens = {user: _static(token) for user, _, token in pairs}  # no name begins with `phone:`: it has no colon
        if len(tokens) < len(pairs) or len({each.secret for each in tokens.values()}) < len(pairs):
            raise ValueError("names a user or a token twice: give each user one token")
        return tokens

    @field_validator(
        *("origins", "jwt_audience", "jwt_algorithms", "jwt_gateway_scopes", "jwt_claims", "twilio_auth_tokens"),
        "webhook_secrets",
        mode="before",
    )
    @classmethod
    def _split_lists(cls, value: object) -> object:
        return split(value)

    @field_validator("port", mode="before")
    @classmethod
    def _not_of_kubernetes(cls, value: object) -> object:
        if isinstance(value, str) and value.startswith(("tcp://", "udp://")):
            raise ValueError(
                "Kubernetes sets it in each container beside a Service named `ringback`: set `enableServiceLinks: "
                "false` in the pod, or RINGBACK_PORT in the container"
            )
        return value

    @field_validator("realtime_api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr) -> SecretStr:
        if re.search(r"[^\x21-\x7e]", key.get_secret_value()):
            raise ValueError("it holds a space, a line's end or a letter that no header may have")
        return key

    @field_validator("realtime_headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} can be no header's name")
            if re.search(r"[^\t\x20-\x7e]", value):
                raise ValueError(f"{name!r} holds a line's end, or a letter outside of ASCII")
        return headers

    @field_validator("public_url", "twilio_api_url")
    @classmethod
    def _that_can_be_asked(cls, url: str | None) -> str | None:
        if url is not None and parts_of(url, "http", "https") is None:
            raise ValueError(f"it must begin with https:// (or http://), and name {SHAPE}")
        return url

    @field_validator("public_url")
    @classmethod
    def _without_a_path(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^/?#\s]+", url):
            raise ValueError("it must have no path, such as https://voice.example.com")
        return url

    @field_validator("twilio_api_url")
    @classmethod
    def _to_which_paths_are_added(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^?#\s]+[^/]", url):
            raise ValueError("it must end without a slash, and have no query, such as https://api.twilio.com")
        return url

    @field_validator("origins")
    @classmethod
    def _as_browsers_write_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin(each) for each in origins)

    @field_validator("tokens")
    @classmethod
    def _long_enough(cls, tokens: dict[str, StaticToken]) -> dict[str, StaticToken]:
        if any(len(token.secret.get_secret_value()) < 12 for token in tokens.values()):
            raise ValueError("a token needs 12 characters or more; make one with `ringback token static`")
        return tokens

    @field_validator("jwt_algorithms")
    @classmethod
    def _signed_with_public_keys(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(algorithms) - ALGORITHMS)
        if unknown or not algorithms:
            raise ValueError(f"name algorithms that sign with a key pair: {', '.join(sorted(ALGORITHMS))}")
        return algorithms

    @field_validator("jwt_gateway_scopes")
    @classmethod
    def _scopes_of_the_gateway(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if set(scopes) - set(SCOPES):
            raise ValueError(f"name scopes of the gateway: {', '.join(SCOPES)}")
        return scopes

    @model_validator(mode="after")
    def _identity_provider_is_pinned(self) -> GatewaySettings:
        if self.jwt_jwks is None:
            if self.jwt_issuer or self.jwt_audience:
                raise ValueError("RINGBACK_JWT_JWKS is not set: without keys no token can be verified")
            return self
        for name, value in (("RINGBACK_JWT_ISSUER", self.jwt_issuer), ("RINGBACK_JWT_AUDIENCE", self.jwt_audience)):
            if not value:
                raise ValueError(
                    f"{name} is not set, and RINGBACK_JWT_JWKS needs it: it tells other services' tokens apart"
                )
        if not is_safe_source(self.jwt_jwks):
            raise ValueError("RINGBACK_JWT_JWKS must be a file, or begin with https:// (or http:// on loopback)")
        return self

    @field_validator("webhook_secrets")
    @classmethod
    def _that_sign(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in secrets:
            try:
                key_of(secret.get_secret_value())
            except BadSecret as problem:
                raise ValueError(str(problem)) from None
        return secrets

    @model_validator(mode="after")
    def _can_be_called(self) -> GatewaySettings:
        if self.twilio_auth_tokens and self.public_url is None:
            raise ValueError(
                "RINGBACK_PUBLIC_URL is not set, and TWILIO_AUTH_TOKEN needs it: Twilio signs the URL that it asks"
            )
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> GatewaySettings:
        files = {"RINGBACK_TLS_CERTIFICATE": self.tls_certificate, "RINGBACK_TLS_KEY": self.tls_key}
        missing = [name for name, file in files.items() if file is None]
        if len(missing) == 1:
            raise ValueError(f"{missing[0]} is not set: TLS needs a certificate and its key")
        return self

    @model_validator(mode="after")
    def _provider_has_what_it_needs(self) -> GatewaySettings:
        provider = self.provider
        if provider.needs_key and not self.realtime_api_key.get_secret_value():
            raise ValueError(f"REALTIME_API_KEY is not set, and REALTIME_PROVIDER={provider.name} needs one")
        if provider.url is None and not self.realtime_url:
            raise ValueError(f"REALTIME_URL is not set, and REALTIME_PROVIDER={provider.name} has no default")
        for name, url in (("REALTIME_URL", self.realtime_url), ("RINGBACK_SIMULATOR_URL", self.simulator_url)):
            if url and parts_of(url, "ws", "wss") is None:
                raise ValueError(f"{name} must begin with wss:// (or ws:// on loopback), and name {SHAPE}")
        return self
