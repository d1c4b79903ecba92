"""Agents: who the model is in a conversation. One TOML file each, in `agents/`.

    instructions = "You help callers of a bakery."
    tools = ["weather", "order_status"]

A client may name an agent; what the agent says, may and costs is the server's.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringback.allowances import MOST_DOLLARS, MOST_TOKENS
from ringback.clients import ClientPolicy, Clients
from ringback.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Webhook(BaseModel):
    """Where answers go that nobody heard: `[webhook]` in the agent's file. Signed as Standard Webhooks are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s/]+")
    secret_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """The gateway's environment variable that holds the secret: a file that is checked in holds none."""


class Agent(BaseModel):
    """One agent. Field names are the Realtime API's own (session object) wherever it has one.

    `tools` names the tools the model may call; "*" stands for all that workers serve.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    instructions: str = Field(min_length=1)
    model: str = "gpt-realtime-2.1"
    voice: str | None = None
    output_modalities: tuple[Literal["audio", "text"]] = ("audio",)
    tools: tuple[str, ...] = ()
    tool_choice: Literal["auto", "none", "required"] = "auto"
    transcription_model: str | None = None
    """Transcribe what the user says, with this model; None: no transcription."""
    turn_detection: dict[str, Any] | None = Field(default_factory=lambda: {"type": "server_vad"})
    """As in `session.audio.input.turn_detection`; an empty table turns it off (push to talk)."""
    max_calls_at_once: int = Field(default=16, ge=1, le=128)
    """Calls of one session that may run at the same time; one more is refused, and the model hears why."""
    gather_seconds: float = Field(default=0.25, ge=0, le=10)
    """How long a result waits for its siblings before the model is asked to speak."""
    quiet_seconds: float = Field(default=1.0, ge=0, le=30)
    """For how long neither side must have spoken before a late result is brought up, or the user is told to wait."""
    hold_seconds: float = Field(default=20.0, ge=0, le=600)
    """How long a result waits for such a moment; then it is told as soon as the user is silent."""
    busy_seconds: float = Field(default=10.0, ge=0, le=600)
    """A call that is expected to wait for a worker for longer than this is announced as such, at once."""
    max_calls_per_turn: int = Field(default=10, ge=1, le=1_000)
    """Calls of one tool between two turns of the user; one more is refused: a model that goes round in circles."""
    max_calls_unheard: int = Field(default=25, ge=1, le=10_000)
    """Calls of all tools between two turns of the user, for the same reason."""
    max_result_chars: int = Field(default=16_000, ge=500, le=200_000)
    """Of one result as the model reads it; the rest is cut, and the model is told how much."""
    max_calls_per_minute: int = Field(default=60, ge=1, le=10_000)
    """Calls of one session; one more is refused, and the model hears why."""
    max_session_seconds: float = Field(default=3_600.0, gt=0, le=86_400)
    """How long one session may last, over all its connections to the Realtime API."""
    max_idle_seconds: float = Field(default=600.0, ge=1, le=86_400)
    """For how long neither side may have said anything and nothing may have run: audio of silence is paid for, too."""
    max_session_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    """What one session may use; None: as much as its user and tenant may. Checked as each response begins."""
    max_session_cost: float | None = Field(default=None, gt=0, le=MOST_DOLLARS)
    """The same in US dollars, by the gateway's price table."""
    tenants: tuple[str, ...] = ("*",)
    """Whose clients may have this agent, and through it its tools; for everybody else it does not exist."""
    clients: Clients = Field(default_factory=Clients)
    """What clients may say and see: changes to the presets of `ringback.clients`."""
    webhook: Webhook | None = None
    """Where answers go that come after the end of their session; None: into the history alone."""

    def allows(self, tool: str) -> bool:
        """True where the model may be offered `tool`."""
        return "*" in self.tools or tool in self.tools

    def serves(self, tenant: str) -> bool:
        """True where clients of this tenant may have it."""
        return "*" in self.tenants or tenant in self.tenants

    def policy(self, *, trusted: bool) -> ClientPolicy:
        """What a client of this agent may say and see."""
        return self.clients.policy(trusted=trusted)

    def session(self, tools: list[dict[str, Any]]) -> dict[str, Any]:
        """The `session` of our `session.update` (Realtime API), `tools` being the ones to offer."""
        audio_input: dict[str, Any] = {"turn_detection": self.turn_detection or None}
        if self.transcription_model:
            audio_input["transcription"] = {"model": self.transcription_model}
        audio: dict[str, Any] = {"input": audio_input}
        if self.voice:
            audio["output"] = {"voice": self.voice}
        return {
            "type": "realtime",
            "instructions": self.instructions,
            "output_modalities": list(self.output_modalities),
            "audio": audio,
            "tools": tools,
            "tool_choice": self.tool_choice if tools else "auto",
        }


def load_agents(folder: Path) -> dict[str, Agent]:
    """Every agent in `folder`, by name.

    Raises:
        ConfigurationError: the folder holds no agent, or a file is wrong; the text names file and field.
    """
    return {path.stem: load_agent(path) for path in files_in(folder)}


def files_in(folder: Path) -> list[Path]:
    """The agents' files, in order; ConfigurationError where there is none."""
    if folder.is_file():
        raise ConfigurationError(f"{folder} is a file: name the folder of the agents' files")
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise ConfigurationError(f"{folder} holds no agent: write one, such as {folder / 'demo.toml'}")
    return paths


def load_agent(path: Path) -> Agent:
    """The agent in one file, named like the file."""
    if not _NAME.fullmatch(path.stem):
        raise ConfigurationError(f"{path}: an agent's file is named with a-z, 0-9, - and _, such as demo.toml")
    try:
        return Agent(name=path.stem, **tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path}: not TOML: {problem}") from None
    except TypeError:
        raise ConfigurationError(f"{path}: leave out `name`: an agent is named like its file") from None
    except ValidationError as problem:
        raise ConfigurationError(f"{path}: {_complaint(problem)}") from None


def _complaint(problem: ValidationError) -> str:
    first = problem.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return f"{where}: is not known here; check how it is spelt, and under which table it stands"
        case "missing":
            return f"{where}: is missing"
        case "tuple_type":
            return f'{where}: write a list, such as {where} = ["…"]'
    return f"{where}: {str(first['msg']).removeprefix('Value error, ')}"
