"""Names of Ringback's settings, and a warning for an unknown name: the operator must learn of a misspelt setting.

Each process reads a part of them, and one environment or `.env` often serves all. So the whole list stands here, and a
test compares it with the settings classes.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from ringback.errors import ConfigurationError

PREFIX = "RINGBACK_"
NAMES = frozenset(
    PREFIX + name
    for name in (
        # every process
        *("DATA_KEY", "LEASE_MARGIN_SECONDS", "LEASE_RENEW_SECONDS", "LEASE_SECONDS", "LOG_FORMAT"),
        *("METRICS", "METRICS_TOKEN", "MODE", "REDACT", "TRACE_PII"),
        # the gateway
        *("AGENTS", "BEHIND_TLS", "CALL_WAIT_SECONDS", "DATABASE_POOL", "DEFAULT_AGENT", "DRAIN_SECONDS", "HOST"),
        *("MAX_CLIENT_SECRETS", "MAX_FRAME_BYTES", "MAX_SESSIONS", "ORIGINS", "PORT", "PRICES", "PUBLIC_URL"),
        *("RECORDING_DAYS", "RESUME_SECONDS", "RETENTION_DAYS", "ROTATE_BEFORE_SECONDS", "SESSIONS_PER_TENANT"),
        *("SESSIONS_PER_USER", "SIMULATOR_URL", "TLS_CERTIFICATE"),
        *("COST_PER_TENANT_PER_DAY", "COST_PER_USER_PER_DAY", "TLS_KEY", "TOKENS", "TOKENS_PER_TENANT_PER_DAY"),
        *("TOKENS_PER_USER_PER_DAY", "UPSTREAM_CONNECT_SECONDS", "UPSTREAM_RETRY_SECONDS"),
        *("JWT_ALGORITHMS", "JWT_AUDIENCE", "JWT_CLAIMS", "JWT_GATEWAY_SCOPES", "JWT_ISSUER", "JWT_JWKS"),
        *("GATEWAY_PROCESSES", "JWT_SCOPE_CLAIM", "JWT_TENANT_CLAIM", "JWT_USER_CLAIM"),
        # the worker
        *("METRICS_HOST", "METRICS_PORT", "TOOL_FILES", "TOOL_MODULES", "WORKER_CONCURRENCY"),
        *("WORKER_DB_CONNECTIONS", "WORKER_DRAIN_SECONDS", "WORKER_QUEUES"),
    )
)
"""Settings that the settings classes read."""
BESIDE = frozenset(PREFIX + name for name in ("IMAGE", "ORDER_DELAY", "PUBLISH", "SIMULATOR_IMAGE", "TOKEN", "URL"))
"""Settings that Docker Compose, a built-in tool, and a client's shell read."""
NOT_OURS = re.compile(r"RINGBACK_(TEST_|CHAOS_|RECORDINGS$|STORIES$|SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP))")
"""Names that the test suite sets, and that Kubernetes sets in each container beside a Service named `ringback`."""
DOTENV = ".env"

log = logging.getLogger(__name__)


def unknown(names: Iterable[str]) -> list[str]:
    """Return a sentence for each name that looks like a setting and is none, with the nearest setting."""
    known = NAMES | BESIDE
    wrong = sorted(name for name in set(names) - known if name.startswith(PREFIX) and not NOT_OURS.match(name))
    return [f"{name} is no setting of Ringback and is ignored{_nearest(name)}" for name in wrong]


def insist_on_readable_dotenv() -> None:
    """Raise ConfigurationError if there is a `.env` that is no text, such as one that PowerShell wrote in UTF-16."""
    try:
        if Path(DOTENV).is_file():
            Path(DOTENV).read_text(encoding="utf-8")
    except OSError as problem:
        raise ConfigurationError(f"{DOTENV} cannot be read: {problem.strerror}") from problem
    except UnicodeDecodeError:
        raise ConfigurationError(f"{DOTENV} is not UTF-8: save it as UTF-8 text") from None


@cache
def warn_of_unknown() -> None:
    """Log a warning for each unknown name in the environment and in `.env`, once a process."""
    from dotenv import dotenv_values

    for sentence in unknown({*os.environ, *dotenv_values(DOTENV)}):
        log.warning("%s", sentence)


def _nearest(name: str) -> str:
    rest = name.removeprefix(PREFIX)  # with the prefix, any two names would look alike
    near = get_close_matches(rest, [known.removeprefix(PREFIX) for known in sorted(NAMES)], n=1, cutoff=0.7)
    return f": did you mean {PREFIX}{near[0]}?" if near else "; docs/configuration.md lists them all"
