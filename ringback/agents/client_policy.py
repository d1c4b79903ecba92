"""What a client may send and see, as data: two presets, and each agent's own changes to them.

    browser   a stranger: it speaks and listens, and is shown no instructions, tools or calls
    trusted   the operator's own backend: it may set more of its session, and bring tools that it runs itself

The credential decides which preset holds (the scope `trusted`), never what the client sends. An agent's file may
change either preset: `[clients.browser]`, `[clients.trusted]`. (Realtime API, client events.)

The tables below are the allow-list. `gateway.protocol` holds the types of these events and fields, and does not start
if the two differ.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ALLOWED_EVENTS = (
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "response.create",
    "response.cancel",
    "session.update",
    "ringback.approval.respond",
    "ringback.playback",
)
"""The events that any client may send."""
TRUSTED_EVENTS = ("conversation.item.delete",)
"""The events that change what a conversation holds: a trusted client may send them too."""
CLIENT_EVENTS = (*ALLOWED_EVENTS, *TRUSTED_EVENTS)
"""All events that a policy can allow."""
AUDIO_FIELDS = (
    "output_modalities",
    "audio.input.format",
    "audio.input.noise_reduction",
    "audio.input.transcription",
    "audio.input.turn_detection",
    "audio.output.format",
    "audio.output.speed",
)
"""Fields of a session that say how the client is heard and hears: any client may set them."""
HINT_FIELDS = ("audio.input.transcription.prompt", "audio.input.transcription.keywords")
"""Fields of a session that steer what is written down of the user. A policy that opens the field above them does not
open these: it has to name them."""
MODEL_FIELDS = (*HINT_FIELDS, "audio.output.voice", "max_output_tokens", "tool_choice", "include")
"""Fields of a session that steer the model: a trusted client may set them too."""
SESSION_FIELDS = frozenset({*AUDIO_FIELDS, *MODEL_FIELDS, "instructions"})
"""All fields of a session that a policy can open; `tools` are opened by `brings_tools`. The model, the server's tools,
tracing and prompts are the server's alone."""
RESPONSE_FIELDS = (
    "conversation",
    "output_modalities",
    "metadata",
    "instructions",
    "max_output_tokens",
    "tool_choice",
    "audio.output.format",
    "audio.output.voice",
    "input",
)
"""All fields of a `response.create` that a policy can open. The first three do not change what the model is told;
`conversation` is then "auto", and with `input` open it may be "none": a response out of band."""
ROLES = ("user", "system", "assistant")
"""Of the messages that a client may create: the user's own, instructions, and what the model has said elsewhere."""
BROWSER_EXTENSIONS = ("approvals", "jobs", "left_out", "playback", "recording", "results", "resume")
"""What any client may ask for beside the Realtime API: `?ringback=jobs,resume`. Jobs tell the names of tools, approvals
their arguments too. With `playback` the client says what it has played (`ringback.playback`), with `recording` it is
told of a recording."""
EXTENSIONS = frozenset({*BROWSER_EXTENSIONS, "calls"})
"""All that a policy can let a client ask for. Calls tell the names and arguments of all tools."""


def _all_known(names: tuple[str, ...], known: frozenset[str], what: str) -> tuple[str, ...]:
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no {what} that can be allowed; there are {', '.join(sorted(known))}")
    return names


class ClientPolicy(BaseModel):
    """Policy of one kind of client with one agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["browser", "trusted"]
    events: tuple[str, ...] = ALLOWED_EVENTS
    """The allow-list of client events."""
    session: tuple[str, ...] = AUDIO_FIELDS
    """The fields of a `session.update` that the client may set, as dotted names."""
    response: tuple[str, ...] = RESPONSE_FIELDS[:3]
    """The fields of a `response.create` that the client may set, beside those that it may set for its session."""
    roles: tuple[Literal["user", "system", "assistant"], ...] = ("user",)
    """The roles of the messages that it may create."""
    brings_tools: bool = False
    """True: the model is offered the client's tools beside the server's, and the client answers their calls."""
    sees_session: bool = False
    """True: `session.created` and `session.updated` show instructions and tools."""
    asks: tuple[str, ...] = BROWSER_EXTENSIONS
    """What it may ask for beside the Realtime API (`?ringback=`). The gateway ignores all else that it asks for."""
    sees_errors: bool = False
    """True: it is shown errors of the Realtime API as they came. False: their code, with the gateway's own words."""
    messages_per_second: float = Field(default=200.0, gt=0, le=500)
    """Frames, on average: audio in frames of 10 ms is 100. Above 500 the server closes any connection."""
    messages_burst: int = Field(default=1_000, ge=1, le=2_000)
    audio_rate: float = Field(default=1.5, ge=1.0, le=100.0)
    """Seconds of audio in a second, on average; above it the gateway slows the client down."""
    audio_burst_seconds: float = Field(default=30.0, ge=1, le=600)
    """Of audio at once: one frame of the largest size."""
    text_rate: float = Field(default=262_144.0, ge=1_024, le=16_777_216)
    """Characters of all but audio in a second, on average: a picture a second, and all of it goes into the history."""
    text_burst: int = Field(default=8_388_608, ge=65_536, le=134_217_728)
    """Of these at once: four frames of the largest size."""
    throttled_seconds: float = Field(default=15.0, ge=0, le=600)
    """For how long the gateway slows a client down without a break; then it closes the connection (4029)."""
    refusals_per_minute: int = Field(default=10, ge=1, le=10_000)
    """Frames that the gateway refuses; at one more it closes the connection (4403)."""

    @field_validator("events")
    @classmethod
    def _known_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(events, frozenset(CLIENT_EVENTS), "event")

    @field_validator("asks")
    @classmethod
    def _known_extensions(cls, asks: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(asks, EXTENSIONS, "extension")

    @field_validator("session")
    @classmethod
    def _known_fields(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(fields, SESSION_FIELDS, "session field")

    @field_validator("response")
    @classmethod
    def _known_response_fields(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(fields, frozenset(RESPONSE_FIELDS), "field of a response")


BROWSER = ClientPolicy(name="browser")
TRUSTED = ClientPolicy(
    name="trusted",
    events=CLIENT_EVENTS,
    session=(*AUDIO_FIELDS, *MODEL_FIELDS),
    response=RESPONSE_FIELDS,
    roles=ROLES,
    brings_tools=True,
    sees_session=True,
    asks=tuple(sorted(EXTENSIONS)),
    sees_errors=True,
    messages_per_second=400.0,
    messages_burst=1_500,
    text_rate=1_048_576.0,
    text_burst=33_554_432,
    refusals_per_minute=60,
)


class Clients(BaseModel):
    """Table `[clients]` of an agent's file, laid over the presets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    browser: ClientPolicy = BROWSER
    trusted: ClientPolicy = TRUSTED

    @model_validator(mode="before")
    @classmethod
    def _on_top_of_the_presets(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        presets = {"browser": BROWSER, "trusted": TRUSTED}
        return {
            name: {**presets[name].model_dump(), **table, "name": name}
            if name in presets and isinstance(table, dict)
            else table
            for name, table in given.items()
        }

    def policy(self, *, trusted: bool) -> ClientPolicy:
        """Return the policy that holds for a client."""
        return self.trusted if trusted else self.browser
