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

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ringback.agents.audio import ServerVad, TurnDetection
from ringback.agents.client_policy import ClientPolicy, Clients
from ringback.agents.quotas import MOST_DOLLARS, MOST_TOKENS
from ringback.agents.session import AgentSession, ChosenFunction, ChosenHosted, ToolChoice, as_sent, laid_over
from ringback.config.toml_tables import complaint
from ringback.errors import ConfigurationError

SAME = {
    "voice": "audio.output.voice",
    "output_modalities": "output_modalities",
    "tool_choice": "tool_choice",
    "transcription_model": "audio.input.transcription.model",
    "turn_detection": "audio.input.turn_detection",
}
"""The file's short words, and the field of `[session]` that each stands for."""
TRANSCRIPTION = "audio.input.transcription"

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
    tool_choice: ToolChoice = "auto"
    transcription_model: str | None = None
    """Transcribe what the user says, with this model; None: no transcription."""
    require_transcription: bool = False
    """True: a client can neither change the transcription nor turn it off, so the history holds the user's words."""
    turn_detection: TurnDetection = Field(default_factory=lambda: ServerVad(type="server_vad"))
    """As in `session.audio.input.turn_detection`; an empty table turns it off (push to talk)."""
    session_fields: AgentSession = Field(default_factory=AgentSession, alias="session")
    """`[session]`: every other field of the Realtime API's session, by the API's own names."""
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
    memory_tokens: int | None = Field(default=None, ge=1_000, le=1_000_000)
    """What a rebuilt conversation is told of its past at most; None: three eighths of the model's window."""
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
    """What clients may say and see: changes to the presets of `ringback.agents.client_policy`."""
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
        policy = self.clients.policy(trusted=trusted)
        if not self.require_transcription:
            return policy
        left = tuple(field for field in policy.session if field != TRANSCRIPTION)
        return policy.model_copy(update={"session": left})

    @property
    def hosted_tools(self) -> list[dict[str, Any]]:
        """The tools that the Realtime API runs by itself, to be offered beside the workers'."""
        return self.session_fields.hosted_tools()

    def session(self, tools: list[dict[str, Any]]) -> dict[str, Any]:
        """The `session` of our `session.update` (Realtime API), `tools` being all that are to be offered."""
        said = self.session_fields.fields()
        audio = said.pop("audio", {})
        heard: dict[str, Any] = {"turn_detection": as_sent(self.turn_detection), **audio.get("input", {})}
        transcription = heard.get("transcription", {})
        if self.transcription_model and transcription is not None:
            heard["transcription"] = {"model": self.transcription_model, **transcription}
        spoken = {**({"voice": self.voice} if self.voice else {}), **audio.get("output", {})}
        session = {
            "type": "realtime",
            "instructions": self.instructions,
            "output_modalities": list(self.output_modalities),
            **said,
            "audio": {"input": heard, **({"output": spoken} if spoken else {})},
            "tools": tools,
            "tool_choice": self._choice(tools),
        }
        providers = {name: value for name, value in self.session_fields.provider.items() if name != "tools"}
        return laid_over(session, providers)

    def _choice(self, tools: list[dict[str, Any]]) -> str | dict[str, Any] | None:
        """A choice among what is offered now: a server refuses a session that must call what it does not have."""
        choice = self.session_fields.tool_choice or self.tool_choice
        if isinstance(choice, str):
            return choice if tools else "auto"
        names = {tool.get("name") for tool in tools} | {tool.get("server_label") for tool in tools}
        wanted = choice.name if isinstance(choice, ChosenFunction) else choice.server_label
        return as_sent(choice) if wanted in names else "auto"

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Agent:
        session = self.session_fields
        for word, path in SAME.items():
            if word in self.model_fields_set and session.said(path):
                raise ValueError(f"{word} and session.{path} mean the same: leave one of them out")
        return self

    @model_validator(mode="after")
    def _can_be_held_to(self) -> Agent:
        transcription = self.session([])["audio"]["input"].get("transcription")
        if transcription is not None and "model" not in transcription:
            raise ValueError(f"session.{TRANSCRIPTION}.model: is missing")
        if self.require_transcription and transcription is None:
            raise ValueError(f"require_transcription: name a model in session.{TRANSCRIPTION}.model")
        if self.transcription_model and transcription is None:
            raise ValueError(f"transcription_model and an empty session.{TRANSCRIPTION}, which is off: leave out one")
        return self

    @model_validator(mode="after")
    def _chooses_what_it_has(self) -> Agent:
        choice = self.session_fields.tool_choice or self.tool_choice
        if isinstance(choice, ChosenFunction) and not self.allows(choice.name):
            raise ValueError(f"tool_choice names {choice.name}, which is none of `tools`: add it there")
        labels = {tool.get("server_label") for tool in self.hosted_tools}
        if isinstance(choice, ChosenHosted) and choice.server_label not in labels:
            raise ValueError(f"tool_choice names {choice.server_label}, which is no server_label in [[session.tools]]")
        return self


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
        raise ConfigurationError(f"{path}: {complaint(Agent, problem)}") from None
