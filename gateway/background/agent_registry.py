"""The agents of this gateway, as their files are now.

Files are looked at once a second. A file that has changed, and has then been left alone for one look, is taken: for
sessions that begin from then on, as those that run keep the agent that they began with. A file that became wrong is
told of once, and the last good agent stays. The default agent stays even if its file goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from gateway.background.webhook_signing import BadSecret, key_of
from ringback.agents.agent import Agent, load_agent, load_agents
from ringback.agents.hosted_tools import hosted_variables
from ringback.errors import ConfigurationError

LOOK_SECONDS = 1.0
"""Between two looks: whoever saves a file and then calls should meet what it says, and a look costs microseconds."""

UNCHOSEN = "demo"
"""The agent of a client that names none, where RINGBACK_DEFAULT_AGENT is not set and there are several."""

Stamp: TypeAlias = tuple[int, int, int]
"""What changes with a file: when it was written, its size, and which file it is."""

log = logging.getLogger(__name__)


class AgentRegistry(Mapping[str, Agent]):
    """Agents by name. One task, `keep_current`, which runs until it is cancelled.

    Args:
        folder: of the agents' files.
        default: the agent of a client that names none; None: the only one there is, or else `demo`.
        environment: where the secrets of webhooks and hosted tools are.

    Raises:
        ConfigurationError: a file is wrong, a secret that it names is missing, or the default agent is.
    """

    def __init__(self, folder: Path, default: str | None, environment: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._environment = environment
        self._seen = self._dealt_with = _stamps(folder) if folder.is_dir() else {}
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
        """Look at the files, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.take_changes)  # a folder may be on a disk that hangs

    def take_changes(self) -> None:
        """Take what has changed, and has been left alone since the look before: a file is not written in one go."""
        try:
            now = _stamps(self._folder)
        except OSError as problem:
            return self._complain(f"{self._folder} cannot be looked into ({problem.strerror}); the agents stay")
        settled = {name: stamp for name, stamp in now.items() if self._seen.get(name) == stamp}
        gone = [name for name in self._dealt_with if name not in now and name not in self._seen]
        changed = [name for name, stamp in settled.items() if self._dealt_with.get(name) != stamp]
        for name in changed:
            self._take(name)
        for name in gone:
            self._drop(name)
        self._dealt_with = {
            **{name: stamp for name, stamp in self._dealt_with.items() if name not in gone},
            **{name: settled[name] for name in changed},
        }
        self._seen = now
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
            log.info("agent %s is as %s says now, for sessions that begin from here on", name, path)
        return None

    def _drop(self, name: str) -> None:
        if name == self.default:
            return self._complain(f"{self._folder / name}.toml is gone; as the default, the agent stays as it was")
        if name in self._agents:
            self._agents = {known: agent for known, agent in self._agents.items() if known != name}
            log.info("agent %s is gone with its file; sessions that have it keep it", name)
        return None

    def _what_stays(self, name: str) -> str:
        return "the agent stays as it was" if name in self._agents else "it is left out"

    def _complain(self, sentence: str) -> None:
        """Once in a row: what stays wrong is no news."""
        if sentence != self._complaint:
            self._complaint = sentence
            log.error("%s", sentence)


def default_of(names: Collection[str], chosen: str | None) -> str:
    """Return the agent of a client that names none.

    Args:
        names: of all agents.
        chosen: by RINGBACK_DEFAULT_AGENT; None: the only agent, or else `demo`.

    Raises:
        ConfigurationError: the chosen agent is not there, or none was chosen of several.
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
    """Say which secret of the agent's webhook or hosted tools is not there, or of no use; None where all are."""
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
    """Of every file that is there; one that goes meanwhile is none."""
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
