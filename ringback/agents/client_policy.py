"""What a client may say and see, as data: two presets, and each agent's own changes to them.

    browser   a stranger: it speaks and listens, and knows nothing of instructions, tools and calls
    trusted   one's own backend: it may set more of its session, and bring tools that it runs itself

Which one holds is decided by what the client came in with (the scope `trusted`), never by what it says. An agent's
file may change either: `[clients.browser]`, `[clients.trusted]`. (Realtime API, client events.)
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SPEAKING = (
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
)
"""The events that any client may send; which of their fields, the decoder's types say."""
STEERING = ("conversation.item.delete",)
"""Those that change what a conversation holds."""
HEARING = (
    "output_modalities",
    "audio.input.format",
    "audio.input.noise_reduction",
    "audio.input.transcription",
    "audio.input.turn_detection",
    "audio.output.format",
    "audio.output.speed",
)
"""Of a session: how the client hears and is heard."""
STEERED = ("audio.input.transcription.prompt", "audio.input.transcription.keywords")
"""Of a field that is the client's, what is not without being named: it decides what is written down of the user."""
TUNING = (*STEERED, "audio.output.voice", "max_output_tokens", "tool_choice", "include")
"""Of a session: what costs or reveals nothing that a backend of one's own may not decide."""
OF_A_RESPONSE = (
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
"""All of a `response.create` that a policy can open. The first three change nothing of what the model is told;
`conversation` is then "auto", and with `input` open it may be "none": a response out of band."""
ROLES = ("user", "system", "assistant")
"""Of the messages that a client may create: the user's own, instructions, and what the model has said elsewhere."""
EXTRAS = frozenset({"approvals", "calls", "jobs", "left_out", "results", "resume"})
"""What there is to ask for beside the Realtime API: `?ringback=jobs,resume`. Jobs tell the names of tools, approvals
and calls their arguments as well."""
SETTABLE = frozenset({*HEARING, *TUNING, "instructions"})
"""All that a policy can open; the model, the tools of the server, tracing and prompts are nobody's but the server's."""


def _all_known(names: tuple[str, ...], known: frozenset[str], what: str) -> tuple[str, ...]:
    unknown = sorted(set(names) - known)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no {what} that can be allowed; there are {', '.join(sorted(known))}")
    return names


class ClientPolicy(BaseModel):
    """What one kind of client may do with one agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["browser", "trusted"]
    events: tuple[str, ...] = SPEAKING
    """The allow-list of client events."""
    session: tuple[str, ...] = HEARING
    """The fields of a `session.update` that are the client's to set, as dotted names."""
    response: tuple[str, ...] = OF_A_RESPONSE[:3]
    """The fields of a `response.create` that are the client's to set, beside those that it may set for its session."""
    roles: tuple[Literal["user", "system", "assistant"], ...] = ("user",)
    """Of the messages that it may create."""
    brings_tools: bool = False
    """True: tools in a `session.update` are offered beside the server's, and the client answers their calls."""
    sees_session: bool = False
    """True: instructions and tools are shown in `session.created` and `session.updated`."""
    asks: tuple[str, ...] = ("approvals", "jobs", "left_out", "results", "resume")
    """What it may ask for beside the Realtime API (`?ringback=`); what else it asks for changes nothing."""
    sees_errors: bool = False
    """True: errors of the Realtime API are passed on as they came; False: their code, with words of ours."""
    messages_per_second: float = Field(default=200.0, gt=0, le=500)
    """Frames, on average: one of 10 ms of audio each would be 100. Above 500 the server hangs up, whoever it is."""
    messages_burst: int = Field(default=1_000, ge=1, le=2_000)
    audio_rate: float = Field(default=1.5, ge=1.0, le=100.0)
    """Seconds of audio in a second, on average; above it the client is slowed down."""
    audio_burst_seconds: float = Field(default=30.0, ge=1, le=600)
    """Of audio at once: one frame of the largest size."""
    text_rate: float = Field(default=262_144.0, ge=1_024, le=16_777_216)
    """Characters of everything but audio in a second, on average: a picture each, and all of it is written down."""
    text_burst: int = Field(default=8_388_608, ge=65_536, le=134_217_728)
    """Of these at once: four frames of the largest size."""
    throttled_seconds: float = Field(default=15.0, ge=0, le=600)
    """For how long a client may be slowed down without a break; then it is hung up on (4029)."""
    refusals_per_minute: int = Field(default=10, ge=1, le=10_000)
    """Frames that are refused; one more, and the client is hung up on (4403)."""

    @field_validator("events")
    @classmethod
    def _known_events(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(events, frozenset({*SPEAKING, *STEERING}), "event")

    @field_validator("asks")
    @classmethod
    def _known_extras(cls, asks: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(asks, EXTRAS, "wish")

    @field_validator("session")
    @classmethod
    def _known_fields(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(fields, SETTABLE, "session field")

    @field_validator("response")
    @classmethod
    def _known_response_fields(cls, fields: tuple[str, ...]) -> tuple[str, ...]:
        return _all_known(fields, frozenset(OF_A_RESPONSE), "field of a response")


BROWSER = ClientPolicy(name="browser")
TRUSTED = ClientPolicy(
    name="trusted",
    events=(*SPEAKING, *STEERING),
    session=(*HEARING, *TUNING),
    response=OF_A_RESPONSE,
    roles=ROLES,
    brings_tools=True,
    sees_session=True,
    asks=("approvals", "calls", "jobs", "left_out", "results", "resume"),
    sees_errors=True,
    messages_per_second=400.0,
    messages_burst=1_500,
    text_rate=1_048_576.0,
    text_burst=33_554_432,
    refusals_per_minute=60,
)


class Clients(BaseModel):
    """`[clients]` of an agent's file: what is not said there is the preset's."""

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
        """The one that holds for a client."""
        return self.trusted if trusted else self.browser
