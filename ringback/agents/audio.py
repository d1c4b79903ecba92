"""`[session.audio]` of an agent's file: how the user is heard, and how the model sounds (Realtime API)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from ringback.config.toml_tables import BY_SHAPE, Table, tag_of_type

CAN_BE_OFF = frozenset({"turn_detection", "noise_reduction", "transcription"})
"""Fields of `session.audio.input` that null turns off; an empty table stands for null."""

Text = Annotated[str, Field(min_length=1)]
Milliseconds = Annotated[int, Field(ge=0, le=3_600_000)]  # A session lasts an hour at most.


class Format(Table):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Literal[8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] | None = None

    @model_validator(mode="after")
    def _g711_has_one_rate(self) -> Format:
        if self.rate is not None and self.type != "audio/pcm":
            raise ValueError("G.711 always has 8,000 Hz: leave `rate` out")
        return self


class NoiseReduction(Table):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class Transcription(Table):
    model: Text | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    keywords: list[Text] | None = None
    language: Text | None = None
    languages: list[Text] | None = None
    prompt: Text | None = None


class _AnswersTurns(Table):
    create_response: bool | None = None
    interrupt_response: bool | None = None


class ServerVad(_AnswersTurns):
    type: Literal["server_vad"]
    threshold: float | None = Field(default=None, ge=0, le=1)
    prefix_padding_ms: Milliseconds | None = None
    silence_duration_ms: Milliseconds | None = None
    idle_timeout_ms: int | None = Field(default=None, ge=5_000, le=30_000)

    @model_validator(mode="after")
    def _one_of_both_speaks(self) -> ServerVad:
        if self.idle_timeout_ms is not None and self.create_response is False:
            raise ValueError(
                "idle_timeout_ms has the Realtime API speak by itself, and create_response = false forbids it: "
                "leave one of them out"
            )
        return self


class SemanticVad(_AnswersTurns):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = None


class AzureVad(_AnswersTurns):
    """Turn detection of Azure. Its other fields are passed on unchecked."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    type: Literal["azure_semantic_vad", "azure_semantic_vad_en", "azure_semantic_vad_multilingual"]


class NoTurnDetection(Table):
    """Empty table: the client says when a turn is over (push to talk)."""


def _detection(value: object) -> str | None:
    if value == {} or isinstance(value, NoTurnDetection):
        return "<off>"
    tag = tag_of_type(value)
    return "<azure>" if tag is not None and tag.startswith("<azure_") else tag


TurnDetection: TypeAlias = Annotated[
    Annotated[ServerVad, Tag("<server_vad>")]
    | Annotated[SemanticVad, Tag("<semantic_vad>")]
    | Annotated[AzureVad, Tag("<azure>")]
    | Annotated[NoTurnDetection, Tag("<off>")],
    Discriminator(
        _detection,
        custom_error_type="unknown_type",
        custom_error_message=(
            "write a table with a `type`: server_vad, semantic_vad or one of azure_semantic_vad; an empty table is off"
        ),
    ),
]


class CustomVoice(Table):
    id: Text


class AudioInput(Table):
    format: Format | None = None
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None


class AudioOutput(Table):
    format: Format | None = None
    speed: float | None = Field(default=None, ge=0.25, le=1.5)
    voice: Annotated[Annotated[Text, Tag("<word>")] | Annotated[CustomVoice, Tag("<table>")], BY_SHAPE] | None = None


class Audio(Table):
    input: AudioInput | None = None
    output: AudioOutput | None = None
