"""Traces of calls, by OpenTelemetry: on where its own environment variables name an endpoint, and off otherwise.

Importing this module imports nothing of OpenTelemetry. Where traces are off, `open_tracing` returns None, and each
place that could tell a span asks for that alone.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ringback.config.setting_names import DOTENV
from ringback.config.web_address import SHAPE, parts_of

if TYPE_CHECKING:
    from ringback.telemetry.call_spans import CallSpans

PREFIX = "OTEL_"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables of which one turns traces on; the first wins."""
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
EXPORTER = "OTEL_TRACES_EXPORTER"
DISABLED = "OTEL_SDK_DISABLED"

log = logging.getLogger(__name__)


def open_tracing(
    service: str, *, provider: str | None = None, runs_tools: bool = False, tells_pii: bool = False
) -> CallSpans | None:
    """Return what tells the spans of calls; None where traces are off.

    Call this in the process that tells them, after a fork: the exporter's thread does not outlive one.

    Args:
        service: `service.name`, unless OTEL_SERVICE_NAME says another.
        provider: the provider of the Realtime API, as the conventions name it; None in a process that calls none.
        runs_tools: whether spans of the tools' own code are sent too, unless a tool's module has set up traces itself.
            The gateway's libraries would tell of each request, and a span of theirs would last as long as a session.
        tells_pii: whether spans may hold arguments, results and users.
    """
    _take_dotenv()
    if not (endpoint := wanted_endpoint(os.environ)):
        return None
    if why := unusable(os.environ):
        log.warning("traces off: %s", why)
        return None
    try:
        from ringback.telemetry.call_spans import open_call_spans
    except ImportError:
        log.warning("traces off: %s is set, and OpenTelemetry is not installed; install ringback[otel]", endpoint)
        return None
    return open_call_spans(service, provider=provider, runs_tools=runs_tools, tells_pii=tells_pii)


def wanted_endpoint(environment: Mapping[str, str]) -> str:
    """Return the name of the variable that turns traces on; empty if they are to be off."""
    if environment.get(DISABLED, "").strip().lower() == "true" or environment.get(EXPORTER, "").strip() == "none":
        return ""
    return next((name for name in ENDPOINTS if environment.get(name)), "")


def unusable(environment: Mapping[str, str]) -> str:
    """Return a sentence on why the variables cannot work here; empty if they can."""
    name = wanted_endpoint(environment)
    if parts_of(environment[name].strip(), "http", "https") is None:
        return f"{name} must begin with http:// or https://, and name {SHAPE}"
    for protocol in PROTOCOLS:
        if environment.get(protocol, PROTOCOL) not in ("", PROTOCOL):
            return f"{protocol} must be {PROTOCOL}, the only protocol that Ringback sends; leave it out"
    if environment.get(EXPORTER, "otlp").strip() not in ("", "otlp"):
        return f"{EXPORTER} must be otlp or none"
    return ""


def current_ids() -> tuple[str, str] | None:
    """Return the ids of the trace and the span that this code runs in, in hexadecimal; None outside of any."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if context.is_valid else None


def _take_dotenv() -> None:
    """Put OpenTelemetry's variables of `.env` into the environment, where alone it reads them; drop empty ones.

    An empty variable counts as unset (OpenTelemetry's specification), and not every part of its SDK knows.
    """
    from dotenv import dotenv_values

    for name, value in dotenv_values(DOTENV).items():
        if name.startswith(PREFIX) and value:
            os.environ.setdefault(name, value)
    for name in [name for name, value in os.environ.items() if name.startswith(PREFIX) and not value]:
        del os.environ[name]
