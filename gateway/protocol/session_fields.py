"""Fields of a session and of a response that a client can set, as types. Its policy opens some of them.

(Realtime API, session.update and response.create.)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct

from gateway.protocol.item_fields import ClientMessage, ItemReference
from gateway.protocol.values import (
    Language,
    Languages,
    Metadata,
    Milliseconds,
    Modalities,
    Open,
    OutputTokens,
    Text,
    ToolName,
    Word,
)

MAX_TOOLS = 64
"""Tools that a client brings: the texts of all of them are in every prompt."""
MAX_DESCRIPTION_CHARS = 16_384
"""Of one tool: an SDK sends a whole docstring."""
MAX_INPUT_ITEMS = 64
"""Items of a response's `input`: more would be a conversation."""
MAX_PARAMETERS_BYTES = 32 * 1024
"""One tool's schema, as JSON: instructions and tools share 16,384 tokens on gpt-realtime."""


class Format(Struct, omit_defaults=True):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Open[Literal[8000, 16000, 22050, 24000, 32000, 44100, 48000]] = UNSET
    """OpenAI takes 24,000 alone, xAI all of them."""


class TurnDetection(Struct, omit_defaults=True):
    type: Literal["server_vad", "semantic_vad", "azure_semantic_vad", "azure_semantic_vad_multilingual"] | None
    threshold: Open[Annotated[float, Meta(ge=0, le=1)]] = UNSET
    prefix_padding_ms: Open[Milliseconds] = UNSET
    silence_duration_ms: Open[Milliseconds] = UNSET
    idle_timeout_ms: Open[Milliseconds] = UNSET
    eagerness: Open[Literal["low", "medium", "high", "auto"]] = UNSET
    create_response: Open[bool] = UNSET
    interrupt_response: Open[bool] = UNSET
    speech_duration_ms: Open[Milliseconds] = UNSET
    remove_filler_words: Open[bool] = UNSET
    auto_truncate: Open[bool] = UNSET
    languages: Open[Languages] = UNSET


class NoiseReduction(Struct, omit_defaults=True):
    type: Literal["near_field", "far_field", "azure_deep_noise_suppression"] | None
    strength: Open[Annotated[float, Meta(ge=0, le=1)]] = UNSET


class Transcription(Struct, omit_defaults=True):
    model: Open[Word] = UNSET
    language: Open[Language] = UNSET
    languages: Open[Languages] = UNSET
    prompt: Open[Annotated[str, Meta(max_length=4_096)]] = UNSET
    keywords: Open[Annotated[list[Word], Meta(max_length=128)]] = UNSET
    delay: Open[Word] = UNSET


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
    """Tool that the client runs itself."""

    name: ToolName
    description: Open[Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARS)]] = UNSET
    parameters: Open[dict[str, Any]] = UNSET


Choice = Literal["auto", "none", "required"] | ChosenFunction


class SessionFields(Struct, omit_defaults=True):
    """Fields of a `session.update` that a policy can open. All others are the server's."""

    output_modalities: Open[Modalities] = UNSET
    audio: Open[AudioFields] = UNSET
    instructions: Open[Text] = UNSET
    max_output_tokens: Open[OutputTokens] = UNSET
    tool_choice: Open[Choice] = UNSET
    include: Open[Annotated[list[Literal["item.input_audio_transcription.logprobs"]], Meta(max_length=1)]] = UNSET
    tools: Open[Annotated[list[FunctionTool], Meta(max_length=MAX_TOOLS)]] = UNSET


class ResponseAudio(Struct, omit_defaults=True):
    output: Open[AudioOut] = UNSET


class ResponseFields(Struct, omit_defaults=True):
    """Fields of a `response.create` that a policy can open."""

    conversation: Open[Literal["auto", "none"]] = UNSET
    output_modalities: Open[Modalities] = UNSET
    metadata: Open[Metadata] = UNSET
    instructions: Open[Text] = UNSET
    max_output_tokens: Open[OutputTokens] = UNSET
    tool_choice: Open[Choice] = UNSET
    audio: Open[ResponseAudio] = UNSET
    input: Open[Annotated[list[ClientMessage | ItemReference], Meta(max_length=MAX_INPUT_ITEMS)]] = UNSET
