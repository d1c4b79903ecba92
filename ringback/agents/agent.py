"""Agents: who the model is in a conversation. One TOML file each, in `agents/`.

    instructions = "You help callers of a bakery."
    tools = ["weather", "order_status"]

A client may name an agent; the server sets what the agent says, may do and costs.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ringback.agents.audio import ServerVad, TurnDetection
from ringback.agents.client_policy import ClientPolicy, Clients
from ringback.agents.phone import Phone
from ringback.agents.quotas import MOST_DOLLARS, MOST_TOKENS
from ringback.agents.session import AgentSession, ChosenFunction, ChosenHosted, ToolChoice, as_sent, laid_over
from ringback.config.toml_tables import complaint
from ringback.errors import ConfigurationError
from ringback.transport import Transport

SAME = {
    "voice": "audio.output.voice",
    "output_modalities": "output_modalities",
    "tool_choice": "tool_choice",
    "transcription_model": "audio.input.transcription.model",
    "turn_detection": "audio.input.turn_detection",
}
"""Short keys of the file, and the field of `[session]` that each stands for."""
TRANSCRIPTION = "audio.input.transcription"

GuardMode: TypeAlias = Literal["mend", "hang_up", "watch"]
"""What is done when the page of a call does what it may not: undo it, hang up, or only note it."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Webhook(BaseModel):
    """Webhook for late results: `[webhook]` in the agent's file. Signed as Standard Webhooks are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s/]+")
    secret_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """Name of the gateway's environment variable that holds the secret: a committed file must not hold it."""


class Agent(BaseModel):
    """Agent, as its file describes it. Field names are those of the Realtime API's session object where it has one.

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
    """Model that transcribes the user's speech; None: no transcription."""
    require_transcription: bool = False
    """If true, a client cannot change or turn off the transcription, so the history holds the user's words."""
    turn_detection: TurnDetection = Field(default_factory=lambda: ServerVad(type="server_vad"))
    """As in `session.audio.input.turn_detection`; an empty table turns it off (push to talk)."""
    session_fields: AgentSession = Field(default_factory=AgentSession, alias="session")
    """`[session]`: every other field of the Realtime API's session, by the API's names."""
    max_calls_at_once: int = Field(default=16, ge=1, le=128)
    """Calls of one session that may run at once. One more is refused, and the model is told why."""
    gather_seconds: float = Field(default=0.25, ge=0, le=10)
    """How long a result waits for its siblings before the model is asked to speak."""
    quiet_seconds: float = Field(default=1.0, ge=0, le=30)
    """How long both sides must be silent before the model brings up a late result or tells the user to wait."""
    hold_seconds: float = Field(default=20.0, ge=0, le=600)
    """How long a result waits for such a moment; then the model tells it as soon as the user is silent."""
    busy_seconds: float = Field(default=10.0, ge=0, le=600)
    """A call that is expected to wait longer than this for a worker is announced at once."""
    max_calls_per_turn: int = Field(default=10, ge=1, le=1_000)
    """Calls of one tool between two turns of the user. One more is refused: the model is going round in circles."""
    max_calls_unheard: int = Field(default=25, ge=1, le=10_000)
    """Calls of all tools between two turns of the user, for the same reason."""
    max_result_chars: int = Field(default=16_000, ge=500, le=200_000)
    """Most characters of one result as the model reads it. The rest is cut, and the model is told how much."""
    memory_tokens: int | None = Field(default=None, ge=1_000, le=1_000_000)
    """Most tokens of history that a rebuilt conversation is told; None: three eighths of the model's window."""
    max_calls_per_minute: int = Field(default=60, ge=1, le=10_000)
    """Calls of one session in a minute. One more is refused, and the model is told why."""
    max_session_seconds: float = Field(default=3_600.0, gt=0, le=86_400)
    """How long one session may last, over all its connections to the Realtime API."""
    max_idle_seconds: float = Field(default=600.0, ge=1, le=86_400)
    """How long both sides may be silent while no call runs, before the session ends: silent audio is paid for too."""
    max_session_tokens: int | None = Field(default=None, ge=1, le=MOST_TOKENS)
    """Token budget of a session; None: that of its user and tenant. Checked as each response begins."""
    max_session_cost: float | None = Field(default=None, gt=0, le=MOST_DOLLARS)
    """The same in US dollars, by the gateway's price table."""
    tenants: tuple[str, ...] = ("*",)
    """Tenants whose clients may use this agent, and through it its tools. For others it does not exist."""
    clients: Clients = Field(default_factory=Clients)
    """What clients may say and see: changes to the presets of `ringback.agents.client_policy`."""
    recording: bool = False
    """If true, both voices are recorded, for operators with the scope `recordings`. Clients are told. Calls over
    WebRTC and SIP are not: their audio goes past the gateway."""
    guard: GuardMode = "mend"
    """What is done when the page of a WebRTC call changes the session, forges an item, and so on (docs/security.md)."""
    webhook: Webhook | None = None
    """Where results go that come after the end of their session; None: only into the history."""

    phone: Phone | None = None
    """The phone calls that it answers; None: none."""

    def allows(self, tool: str) -> bool:
        """Return true if the model may be offered `tool`."""
        return "*" in self.tools or tool in self.tools

    def serves(self, tenant: str) -> bool:
        """Return true if clients of this tenant may use the agent."""
        return "*" in self.tenants or tenant in self.tenants

    def policy(self, *, trusted: bool) -> ClientPolicy:
        """Return what a client of this agent may say and see."""
        policy = self.clients.policy(trusted=trusted)
        if not self.require_transcription:
            return policy
        left = tuple(field for field in policy.session if field != TRANSCRIPTION)
        return policy.model_copy(update={"session": left})

    def on_phone(self, audio_format: str | None = None) -> Agent:
        """Return the agent as it is on the phone: no table of `clients` holds for a telephone network.

        Args:
            audio_format: of the call's audio in both directions, as `audio/pcmu`; None: the audio goes past the
                gateway (SIP), which cannot record it.
        """
        session, recording = self.session_fields, self.recording and audio_format is not None
        if audio_format is not None:
            both = {"format": {"type": audio_format}}
            said = laid_over(session.model_dump(exclude_unset=True), {"audio": {"input": both, "output": both}})
            said["audio"] = {side: {**said["audio"][side], **both} for side in ("input", "output")}
            session = AgentSession.model_validate(said)
        return self.model_copy(update={"clients": Clients(), "session_fields": session, "recording": recording})

    @property
    def hosted_tools(self) -> list[dict[str, Any]]:
        """Return the tools that the Realtime API runs itself, offered beside the workers' tools."""
        return self.session_fields.hosted_tools()

    def for_pages(self) -> Agent:
        """Return the agent as it is on a page's call (WebRTC).

        It has no hosted tools that bear secrets, as the page reads the session as it is. It is not recorded, as the
        audio goes past the gateway.
        """
        tools = self.session_fields.tools or []
        open_ones = [tool for tool in tools if not (tool.authorization_env or tool.headers_env or tool.headers)]
        fields = self.session_fields
        if len(open_ones) < len(tools):
            fields = fields.model_copy(update={"tools": open_ones})
        return self.model_copy(update={"session_fields": fields, "recording": False})

    def beside(self, transport: Transport) -> Agent:
        """Return the agent as it is on a call whose audio goes past the gateway."""
        return self.for_pages() if transport is Transport.WEBRTC else self.on_phone()

    def session(self, tools: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the `session` of the gateway's `session.update` (Realtime API). `tools` are all tools to offer."""
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
        """Return the tool choice, or "auto" if the chosen tool is not offered: a server would refuse the session."""
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
    def _serves_its_callers(self) -> Agent:
        if self.phone is not None and not self.serves(self.phone.tenant):
            raise ValueError(f"phone.tenant: {self.phone.tenant} is none of `tenants`, which may use this agent")
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
    """Load every agent in `folder`, by name.

    Raises:
        ConfigurationError: the folder holds no agent, or a file is wrong; the text names file and field.
    """
    return {path.stem: load_agent(path) for path in files_in(folder)}


def files_in(folder: Path) -> list[Path]:
    """Return the agents' files, in order. Raises ConfigurationError if there is none."""
    if folder.is_file():
        raise ConfigurationError(f"{folder} is a file: name the folder of the agents' files")
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise ConfigurationError(f"{folder} holds no agent: write one, such as {folder / 'demo.toml'}")
    return paths


def load_agent(path: Path) -> Agent:
    """Load the agent in one file, named like the file."""
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
