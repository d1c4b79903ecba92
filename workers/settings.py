"""Settings of a worker."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ringback.config.settings import Stores

SHIPPED_TOOLS = "workers.tools"


def _names(value: object) -> object:
    """Parse `a, b` as `("a", "b")`; a sequence stays one."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


class ToolSettings(BaseSettings):
    """Settings of the tools, which need no server; the command line reads them too."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    tool_modules: Names = Field((SHIPPED_TOOLS,), alias="RINGBACK_TOOL_MODULES")
    """Modules or packages that declare tools, separated by commas; empty if only tool files are to be served."""
    tool_files: Names = Field((), alias="RINGBACK_TOOL_FILES")
    """TOML files that name remote tools (`workers.remote_tools`), separated by commas."""


class WorkerSettings(Stores, ToolSettings):
    """Settings of a worker. Each but the two URLs has a default that fits one small machine."""

    queues: Names = Field((), alias="RINGBACK_WORKER_QUEUES")
    """Queues to serve; empty means every queue that the tools name."""
    concurrency: int | None = Field(None, alias="RINGBACK_WORKER_CONCURRENCY", ge=1, le=10_000)
    """Calls at once: a waiting one costs 15 KiB, a plain function a thread, a computing one a core. None: what fits
    the pool.
    """
    database_connections: int = Field(4, alias="RINGBACK_WORKER_DB_CONNECTIONS", ge=1, le=100)
    """Connections for claims, and as many for outcomes: each is held for a millisecond, and Postgres has about 100 in
    all.
    """
    metrics_port: int | None = Field(None, alias="RINGBACK_METRICS_PORT", ge=1, le=65_535)
    """Port on which Prometheus scrapes the worker. None: it listens on no port."""
    metrics_host: str = Field("127.0.0.1", alias="RINGBACK_METRICS_HOST")
    """Loopback by default; in a container 0.0.0.0, as the scrape comes from another one."""
    drain_seconds: float = Field(25.0, alias="RINGBACK_WORKER_DRAIN_SECONDS", ge=0, le=3_600)
    """How long a stopping worker waits for its calls. Others take back what still runs then, in seconds."""
