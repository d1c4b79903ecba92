"""The gateway's settings. Each bound has one line that says why it is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.auth.authenticator import SCOPES, StaticToken
from gateway.auth.jwt_settings import ALGORITHMS, is_safe_source
from gateway.auth.origins import origin
from gateway.upstream.connection import Target
from gateway.upstream.providers import PROVIDERS, SIMULATOR, Provider, ProviderName
from ringback.agents.quotas import Dollars, Quotas, Sessions, Tokens
from ringback.config.settings import Stores

TRUSTED_SUFFIX = ":trusted"
"""Behind a token of RINGBACK_TOKENS."""


def split(value: object) -> object:
    """A list that is written with commas; what is none is left to others."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _static(token: str) -> StaticToken:
    """One token of RINGBACK_TOKENS, with what it says of itself."""
    return StaticToken(SecretStr(token.removesuffix(TRUSTED_SUFFIX)), is_trusted=token.endswith(TRUSTED_SUFFIX))


class GatewaySettings(Stores):
    """Read with `ringback.config.settings.load`; see .env.example for each variable."""

    realtime_provider: ProviderName = Field(SIMULATOR.name, alias="REALTIME_PROVIDER")
    """Which of `gateway.upstream.providers` to call; "custom" takes REALTIME_URL and REALTIME_HEADERS as they are."""
    realtime_url: str | None = Field(None, alias="REALTIME_URL")
    """The WebSocket URL, if it is not the provider's own: `wss://…/v1/realtime`."""
    realtime_api_key: SecretStr = Field(SecretStr(""), alias="REALTIME_API_KEY")
    """The key. It goes into one header of the upstream connection and nowhere else."""
    realtime_headers: dict[str, str] = Field(default_factory=dict, alias="REALTIME_HEADERS", repr=False)
    """More headers for the upstream connection, as a JSON object."""
    realtime_model: str | None = Field(None, alias="REALTIME_MODEL")
    """The model (on Azure: the deployment) for every agent, whatever its file says."""

    tokens: Annotated[dict[str, StaticToken], NoDecode] = Field(default_factory=dict, alias="RINGBACK_TOKENS")
    """Who may call beside those with an API key, as `user:token,user:token:trusted`: the name stands in the history,
    and a token that is `trusted` is a backend's."""
    retention_days: int | None = Field(None, ge=1, le=36_500, alias="RINGBACK_RETENTION_DAYS")
    """For how many days sessions are kept after their end, where their tenant says nothing; None: for ever."""
    origins: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_ORIGINS")
    """Web pages that may talk to the gateway, as `https://app.example.com`, each exactly as a browser sends it."""
    max_client_secrets: int = Field(10_000, ge=1, le=1_000_000, alias="RINGBACK_MAX_CLIENT_SECRETS")
    """Client secrets of one tenant that are good at once: users who are about to call, and a bound on the table."""
    jwt_jwks: str | None = Field(None, alias="RINGBACK_JWT_JWKS")
    """Where an identity provider's public keys are (a JWK set): a URL, or a file. None: its tokens are not taken."""
    jwt_issuer: str | None = Field(None, alias="RINGBACK_JWT_ISSUER")
    """`iss` of its tokens, letter by letter."""
    jwt_audience: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_JWT_AUDIENCE")
    """`aud` of its tokens: one of these. A token for another service of the same provider is none for us."""
    jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(("RS256", "ES256"), alias="RINGBACK_JWT_ALGORITHMS")
    """How they may be signed: whatever a token itself says, it is nothing else."""
    jwt_user_claim: str = Field("sub", min_length=1, alias="RINGBACK_JWT_USER_CLAIM")
    """Which claim is the user's name."""
    jwt_tenant_claim: str | None = Field(None, min_length=1, alias="RINGBACK_JWT_TENANT_CLAIM")
    """Which claim is the tenant's; none: all are of the tenant `default`."""
    jwt_scope_claim: str = Field("scope", min_length=1, alias="RINGBACK_JWT_SCOPE_CLAIM")
    """Which claim lists scopes, for tools that ask for one."""
    jwt_gateway_scopes: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_JWT_GATEWAY_SCOPES")
    """Of the gateway's own scopes, those that the provider may give beside `realtime`: its word "admin" is not ours."""
    jwt_claims: Annotated[tuple[str, ...], NoDecode] = Field((), alias="RINGBACK_JWT_CLAIMS")
    """Which claims are handed to tools."""
    agents_folder: Path = Field(Path("agents"), alias="RINGBACK_AGENTS")
    """The agents' TOML files."""
    default_agent: str | None = Field(None, alias="RINGBACK_DEFAULT_AGENT")
    """The agent of a client that names none. None: the only agent there is, or the one named `demo`."""

    host: str = Field("127.0.0.1", alias="RINGBACK_HOST")
    """Loopback unless somebody decides otherwise: a public bind is a decision."""
    behind_tls: Literal["no", "yes"] = Field("no", alias="RINGBACK_BEHIND_TLS")
    """Says that nothing reaches the gateway but through TLS. Nobody can tell that from inside."""
    port: int = Field(8080, ge=0, le=65_535, alias="RINGBACK_PORT")
    tls_certificate: Path | None = Field(None, alias="RINGBACK_TLS_CERTIFICATE")
    """A PEM file with the gateway's certificate chain, where no proxy in front speaks TLS. None: plain HTTP."""
    tls_key: Path | None = Field(None, alias="RINGBACK_TLS_KEY")
    """A PEM file with its private key."""
    max_sessions: int = Field(400, ge=1, le=100_000, alias="RINGBACK_MAX_SESSIONS")
    """One core carries about 400 talking sessions; one more would be heard by all of them."""
    max_frame_bytes: int = Field(2 * 1024 * 1024, ge=65_536, alias="RINGBACK_MAX_FRAME_BYTES")
    """Of one client frame: 30 s of audio in one piece; the Realtime API itself would take 15 MiB."""
    upstream_connect_seconds: float = Field(10.0, gt=0, le=60, alias="RINGBACK_UPSTREAM_CONNECT_SECONDS")
    """Until the Realtime API takes the connection, and once more until it confirms the session: a caller who hears
    nothing for longer hangs up."""
    upstream_retry_seconds: float = Field(30.0, ge=0, le=600, alias="RINGBACK_UPSTREAM_RETRY_SECONDS")
    """How long a Realtime API that dropped a session, or takes none now, is called again before the session ends: a
    caller listens to silence no longer. 0: a session ends with its connection."""
    rotate_before_seconds: float = Field(300.0, gt=0, le=3_000, alias="RINGBACK_ROTATE_BEFORE_SECONDS")
    """How long before its `expires_at` a conversation moves to a new connection: time to find a pause in the talk."""
    call_wait_seconds: float = Field(10.0, ge=0, le=120, alias="RINGBACK_CALL_WAIT_SECONDS")
    """How long a call waits for a Postgres that is away; then the model is told that it cannot be run now."""
    resume_seconds: float = Field(120.0, ge=1, le=86_400, alias="RINGBACK_RESUME_SECONDS")
    """How long a client that asked for it may come back to its session: a lift, a tunnel, a page that is reloaded."""
    drain_seconds: float = Field(25.0, ge=0, le=3_600, alias="RINGBACK_DRAIN_SECONDS")
    """How long a gateway that is told to stop lets its responses end. Orchestrators kill after 30 s, as a rule."""
    database_pool: int = Field(10, ge=1, le=200, alias="RINGBACK_DATABASE_POOL")
    """Connections of this process: a statement takes a millisecond, so ten carry thousands a second."""

    sessions_per_user: Sessions | None = Field(100, alias="RINGBACK_SESSIONS_PER_USER")
    """Of one user at once, over all gateways, unless their tenant has a limit of its own: no person talks to more."""
    sessions_per_tenant: Sessions | None = Field(None, alias="RINGBACK_SESSIONS_PER_TENANT")
    """Of one tenant at once, over all gateways: one tenant must not take every place."""
    tokens_per_user_per_day: Tokens | None = Field(None, alias="RINGBACK_TOKENS_PER_USER_PER_DAY")
    """What one user's responses may use on one day of UTC, as the Realtime API counts."""
    tokens_per_tenant_per_day: Tokens | None = Field(None, alias="RINGBACK_TOKENS_PER_TENANT_PER_DAY")
    """The same for all users of a tenant together."""
    cost_per_user_per_day: Dollars | None = Field(None, alias="RINGBACK_COST_PER_USER_PER_DAY")
    """The same for one user in US dollars, by the price table."""
    cost_per_tenant_per_day: Dollars | None = Field(None, alias="RINGBACK_COST_PER_TENANT_PER_DAY")
    """The same for all users of a tenant together, in US dollars."""
    prices: Path | None = Field(None, alias="RINGBACK_PRICES")
    """A price table of one's own (TOML), whose models go over those that are shipped (gateway/budgets/prices.toml)."""

    @property
    def provider(self) -> Provider:
        """The provider that REALTIME_PROVIDER names."""
        return PROVIDERS[self.realtime_provider]

    def target(self, model: str, user: str) -> Target:
        """Return where the session of this user goes; `model` is the agent's."""
        key, model = self.realtime_api_key.get_secret_value(), self.realtime_model or model
        return self.provider.target(model, user, url=self.realtime_url, key=key, headers=self.realtime_headers)

    @property
    def allowances(self) -> Quotas:
        """What a tenant has that has none of its own."""
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
        tokens = {token.removesuffix(TRUSTED_SUFFIX) for _, _, token in pairs}
        if len({user for user, _, _ in pairs}) < len(pairs) or len(tokens) < len(pairs):
            raise ValueError("each user and each token may stand there once")
        return {user: _static(token) for user, _, token in pairs}

    @field_validator(
        *("origins", "jwt_audience", "jwt_algorithms", "jwt_gateway_scopes", "jwt_claims"),
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
                raise ValueError("RINGBACK_JWT_JWKS is not set: without its keys no token of the issuer is good")
            return self
        for name, value in (("RINGBACK_JWT_ISSUER", self.jwt_issuer), ("RINGBACK_JWT_AUDIENCE", self.jwt_audience)):
            if not value:
                raise ValueError(f"{name} is not set, and RINGBACK_JWT_JWKS needs it: tokens for others are not for us")
        if not is_safe_source(self.jwt_jwks):
            raise ValueError("RINGBACK_JWT_JWKS must be a file, or begin with https:// (or http:// on loopback)")
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
            raise ValueError(f"REALTIME_URL is not set, and REALTIME_PROVIDER={provider.name} has none of its own")
        if self.realtime_url and not self.realtime_url.startswith(("ws://", "wss://")):
            raise ValueError("REALTIME_URL must begin with wss:// (or ws:// on loopback)")
        return self
