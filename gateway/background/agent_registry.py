"""The agents of this gateway, as their files are now.

The gateway looks at the files once a second (docs/decisions/0048). If files have changed, and the next look finds the
folder unchanged, it reads them: for sessions that begin from then on. A session that runs keeps its agent. If a file
became wrong, the log says so once, and the last good agent stays. The default agent stays even if its file goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from gateway.webhook_signing import BadSecret, key_of
from ringback.agents.agent import Agent, load_agent, load_agents
from ringback.agents.hosted_tools import hosted_variables
from ringback.errors import ConfigurationError

LOOK_SECONDS = 1.0
"""Between two looks: a person who saves a file and then calls should meet the new agent. A look costs 43 µs."""

UNCHOSEN = "demo"
"""The agent of a client that names none, where RINGBACK_DEFAULT_AGENT is not set and there are several."""

Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file: its time of writing, its size, its inode."""

log = logging.getLogger(__name__)


class AgentRegistry(Mapping[str, Agent]):
    """Agents by name. Its task `keep_current` runs until it is cancelled.

    Args:
        folder: of the agents' files.
        default: the agent of a client that names none; None: the only agent, or else `demo`.
        environment: holds the secrets of webhooks and hosted tools.

    Raises:
        ConfigurationError: a file is wrong, a secret that it names is missing, or the default agent is.
    """

    def __init__(self, folder: Path, default: str | None, environment: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._environment = environment
        self._seen = self._taken = _stamps(folder) if folder.is_dir() else {}
        self._agents = load_agents(folder)
        self._complaint = ""
        self.default = default_of(self._agents, default)
        for agent in self._agents.values():
            if (wrong := missing_secret(agent, environment)) is not None:
                raise ConfigurationError(f"{folder / agent.name}.toml: {wrong}")

    def __getitem__(self, name: str) -> Agent:
        return self._agents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._agents)

    def __len__(self) -> int:
        return len(self._agents)

    async def keep_current(self) -> None:
        """Take changes of the files, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.take_changes)  # the folder may be on a disk that hangs

    def take_changes(self) -> None:
        """Look once. Take what has changed if the look before saw the same: a file is not written in one go."""
        try:
            now = _stamps(self._folder)
        except OSError as problem:
            return self._complain(f"{self._folder} cannot be read ({problem.strerror}); the agents stay")
        if now != self._seen:
            self._seen = now
            return None
        for name in sorted(now.keys() | self._taken.keys()):
            if name not in now:
                self._drop(name)
            elif now[name] != self._taken.get(name):
                self._take(name)
        self._taken = now
        return None

    def _take(self, name: str) -> None:
        path = self._folder / f"{name}.toml"
        try:
            agent = load_agent(path)
        except (ConfigurationError, OSError) as problem:
            return self._complain(f"{problem}; {self._what_stays(name)}")
        if (wrong := missing_secret(agent, self._environment)) is not None:
            return self._complain(f"{path}: {wrong}; {self._what_stays(name)}")
        if agent != self._agents.get(name):
            self._agents = {**self._agents, name: agent}
            log.info("agent %s read anew from %s; sessions that begin from now on have it", name, path)
        return None

    def _drop(self, name: str) -> None:
        if name == self.default:
            return self._complain(f"{self._folder / name}.toml is gone; as the default, the agent stays as it was")
        if name in self._agents:
            self._agents = {known: agent for known, agent in self._agents.items() if known != name}
            log.info("agent %s removed with its file; sessions that have it keep it", name)
        return None

    def _what_stays(self, name: str) -> str:
        return "the agent stays as it was" if name in self._agents else "it is left out"

    def _complain(self, sentence: str) -> None:
        """Log the sentence, unless it is the same as the last one: what stays wrong is no news."""
        if sentence != self._complaint:
            self._complaint = sentence
            log.error("%s", sentence)


def default_of(names: Collection[str], chosen: str | None) -> str:
    """Return the agent of a client that names none.

    Args:
        names: of all agents.
        chosen: by RINGBACK_DEFAULT_AGENT; None: the only agent, or else `demo`.

    Raises:
        ConfigurationError: the chosen agent is missing, or none was chosen of several.
    """
    listed = ", ".join(sorted(names))
    if chosen:
        if chosen not in names:
            raise ConfigurationError(f"RINGBACK_DEFAULT_AGENT={chosen} is none of the agents: {listed}")
        return chosen
    if len(names) == 1:
        return next(iter(names))
    if UNCHOSEN not in names:
        raise ConfigurationError(
            f"RINGBACK_DEFAULT_AGENT is not set, and there are several agents: set it to one of {listed}"
        )
    return UNCHOSEN


def missing_secret(agent: Agent, environment: Mapping[str, str]) -> str | None:
    """Say which secret of the agent's webhook or hosted tools is missing or not usable; None if all are set."""
    for variable in hosted_variables(agent.hosted_tools):
        if not environment.get(variable):
            return f"session.tools names {variable}, which is not set in the environment"
    if agent.webhook is None:
        return None
    name = agent.webhook.secret_env
    secret = environment.get(name, "")
    if not secret:
        return f"webhook.secret_env names {name}, which is not set in the environment"
    try:
        key_of(secret)
    except BadSecret as problem:
        return f"webhook.secret_env: {name} is not usable: {problem}"
    return None


def _stamps(folder: Path) -> dict[str, Stamp]:
    """Return the stamp of every agent's file, of its target if it is a link; leave out files that go meanwhile."""
    found: dict[str, Stamp] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name, dot, suffix = entry.name.rpartition(".")
            if dot and suffix == "toml":
                try:
                    told = entry.stat()
                except FileNotFoundError:
                    continue
                found[name] = (told.st_mtime_ns, told.st_size, told.st_ino)
    return found
