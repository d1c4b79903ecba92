"""What of a session and of a response a client can set, as types; which of it a client may, its policy says.

(Realtime API, session.update and response.create.)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_TOOLS = 64
"""Of a client's own: all their texts are in every prompt."""
MAX_PARAMETERS_BYTES = 32 * 1024
"""One tool's schema, as JSON: instructions and tools share 16,384 tokens on gpt-realtime."""

T = TypeVar("T")
Open: TypeAlias = T | UnsetType | None
"""What a client may leave open: by leaving it out, or, as many serializers do, by null."""
NULL_MEANS_OFF = frozenset({"turn_detection", "noise_reduction", "transcription", "idle_timeout_ms"})
"""Where null is a value of its own; everywhere else it goes no further."""

Text = Annotated[str, Meta(max_length=65_536)]  # Far more than a person types, far less than a context window.
Milliseconds = Annotated[int, Meta(ge=0, le=3_600_000)]  # A session lasts an hour at most.
Modalities = Annotated[list[Literal["audio", "text"]], Meta(min_length=1, max_length=2)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
OutputTokens = Annotated[int, Meta(ge=1, le=128_000)] | Literal["inf"]  # The longest context window there is.


class Format(Struct, omit_defaults=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Open[Literal[24000]] = UNSET


class TurnDetection(Struct, omit_defaults=True):
    type: Literal["server_vad", "semantic_vad"]
    threshold: Open[Annotated[float, Meta(ge=0, le=1)]] = UNSET
    prefix_padding_ms: Open[Milliseconds] = UNSET
    silence_duration_ms: Open[Milliseconds] = UNSET
    idle_timeout_ms: Open[Milliseconds] = UNSET
    eagerness: Open[Literal["low", "medium", "high", "auto"]] = UNSET
    create_response: Open[bool] = UNSET
    interrupt_response: Open[bool] = UNSET


class NoiseReduction(Struct):
    type: Literal["near_field", "far_field"]


class Transcription(Struct, omit_defaults=True):
    model: Annotated[str, Meta(max_length=64)]
    language: Open[Annotated[str, Meta(max_length=16)]] = UNSET


class AudioIn(Struct, omit_defaults=True):
    format: Open[Format] = UNSET
    transcription: Open[Transcription] = UNSET
    noise_reduction: Open[NoiseReduction] = UNSET
    turn_detection: Open[TurnDetection] = UNSET


class CustomVoice(Struct):
    id: Annotated[str, Meta(min_length=1, max_length=64)]


class AudioOut(Struct, omit_defaults=True):
    format: Open[Format] = UNSET
    speed: Open[Annotated[float, Meta(ge=0.25, le=1.5)]] = UNSET
    voice: Open[Annotated[str, Meta(min_length=1, max_length=64)] | CustomVoice] = UNSET


class AudioFields(Struct, omit_defaults=True):
    input: Open[AudioIn] = UNSET
    output: Open[AudioOut] = UNSET


class ChosenFunction(Struct, tag="function", tag_field="type"):
    name: ToolName


class FunctionTool(Struct, tag="function", tag_field="type", omit_defaults=True):
    """A tool that the client runs itself."""

    name: ToolName
    description: Open[Annotated[str, Meta(max_length=1_024)]] = UNSET
    parameters: Open[dict[str, Any]] = UNSET


Choice = Literal["auto", "none", "required"] | ChosenFunction


class SessionFields(Struct, omit_defaults=True):
    """How the client hears and is heard, and what else a policy can open; the rest is the server's."""

    output_modalities: Open[Modalities] = UNSET
    audio: Open[AudioFields] = UNSET
    instructions: Open[Text] = UNSET
    max_output_tokens: Open[OutputTokens] = UNSET
    tool_choice: Open[Choice] = UNSET
    include: Open[Annotated[list[Literal["item.input_audio_transcription.logprobs"]], Meta(max_length=1)]] = UNSET
    tools: Open[Annotated[list[FunctionTool], Meta(max_length=MAX_TOOLS)]] = UNSET


class ResponseFields(Struct, omit_defaults=True):
    """The first three are any client's; the others are so where the policy opens them for the session."""

    conversation: Open[Literal["auto"]] = UNSET
    output_modalities: Open[Modalities] = UNSET
    metadata: Open[Metadata] = UNSET
    instructions: Open[Text] = UNSET
    max_output_tokens: Open[OutputTokens] = UNSET
    tool_choice: Open[Choice] = UNSET
