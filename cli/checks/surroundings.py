"""Checks of settings, agents' files, the Realtime API, live processes, and what this machine allows."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cli.checks.check import Check, fail, ok, warn

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

FILES = 4_096
"""File descriptors that a gateway of 400 sessions may need, with room: two connections a session."""
SHARED = Path("/dev/shm")  # noqa: S108 - shared memory, where a Postgres in a container keeps its own
SHARED_BYTES = 64 * 1_024 * 1_024
"""Shared memory that an embedded Postgres uses."""
CONNECT_SECONDS = 5.0
MODEL = "gpt-realtime"
"""For the connection that is tried, if no agent names one."""


def settings(found: GatewaySettings) -> Iterator[Check]:
    """Yield the lines of the settings: what production forbids is a warning in development."""
    from gateway.production_checks import facts_of
    from ringback.config.production import complaints

    yield ok("settings", f"they can be read; mode {found.mode}, provider {found.provider.name}")
    line = fail if found.mode == "production" else warn
    for sentence in complaints(facts_of(found)):
        yield line("production", sentence, "change it before production: see docs/how-to/deploy.md")


def agents(found: GatewaySettings) -> Iterator[Check]:
    """Yield a line for the agents' files."""
    from ringback.agents.agent import load_agents

    names = sorted(load_agents(found.agents_folder))
    if not names:
        yield fail("agents", f"none in {found.agents_folder}", "name their folder in RINGBACK_AGENTS")
    else:
        yield ok("agents", f"{len(names)} in {found.agents_folder}: {', '.join(names[:10])}")


def upstream(found: GatewaySettings) -> Iterator[Check]:
    """Yield a line for the Realtime API: one connection is opened, and closed at once."""
    from gateway.upstream.connection import UpstreamRefused

    provider = found.provider
    target = found.target(found.realtime_model or MODEL, "doctor")

    async def open_and_close() -> None:
        connection = await provider.connect(target, CONNECT_SECONDS)
        await connection.close()

    try:
        asyncio.run(open_and_close())
    except UpstreamRefused as problem:
        if problem.status in {401, 403}:
            yield fail(
                "realtime API", f"{provider.name} refuses the key ({problem.status})", "correct REALTIME_API_KEY"
            )
        elif problem.status is not None:
            says = f"{provider.name} answers with HTTP {problem.status}"
            yield fail("realtime API", says, "correct REALTIME_URL or REALTIME_MODEL, or ask the provider")
        else:
            says = f"{provider.name} is not reached at {urlsplit(target.url).netloc}"
            if "realtime_provider" not in found.model_fields_set:  # as where a worker runs, which calls no model
                yield warn("realtime API", says, "look where a gateway runs: no REALTIME_PROVIDER is set here")
            elif provider.is_simulated:
                yield fail("realtime API", says, "start `ringback simulator`, or correct RINGBACK_SIMULATOR_URL")
            else:
                yield fail("realtime API", says, "correct REALTIME_URL or the network")
        return
    what = "the simulator answers; no model does" if provider.is_simulated else f"{provider.name} takes the key"
    yield ok("realtime API", what)


def processes(rows: list[Any]) -> Iterator[Check]:
    """Yield a line for live gateways and one for live workers, from the rows of `history.all_processes`."""
    for kind, command in (("gateway", "ringback gateway"), ("worker", "ringback worker")):
        alive = [row for row in rows if row.kind == kind and row.alive]
        if alive:
            yield ok(f"{kind}s", f"{len(alive)} alive")
        else:
            yield warn(f"{kind}s", "none is alive", f"start one with `{command}`")


def machine() -> Iterator[Check]:
    """Yield the lines of what this machine allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    says = f"{soft:,} may be open" if soft != resource.RLIM_INFINITY else "as many as there are may be open"
    if soft != resource.RLIM_INFINITY and soft < FILES:
        yield warn("files", says, f"raise it with `ulimit -n {FILES}`, or LimitNOFILE= in systemd")
    else:
        yield ok("files", says)
    if SHARED.is_dir():
        disk = os.statvfs(SHARED)
        free = disk.f_bavail * disk.f_frsize
        says = f"{free // 1_048_576:,} MiB free in /dev/shm"
        if free < SHARED_BYTES:
            yield warn("shared memory", says, "give the container --shm-size=256m: the embedded Postgres needs it")
        else:
            yield ok("shared memory", says)
