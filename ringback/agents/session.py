"""`[session]` of an agent's file: the session of the Realtime API as an operator may set it, with the API's own names.

    [session.reasoning]
    effort = "low"

    [session.truncation]
    type = "retention_ratio"
    retention_ratio = 0.8

TOML has no null: an empty table turns `turn_detection`, `noise_reduction` or `transcription` off.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from ringback.agents.audio import CAN_BE_OFF, Audio, Text
from ringback.agents.hosted_tools import McpTool
from ringback.config.toml_tables import BY_SHAPE, Table, belongs_elsewhere, tag_of_type

ELSEWHERE = {
    "instructions": "write `instructions` at the top of the file",
    "model": "write `model` at the top of the file",
    "id": "the Realtime API gives it",
    "object": "the Realtime API gives it",
    "expires_at": "the Realtime API gives it",
    "client_secret": "a client gets one from the gateway, at POST /v1/realtime/client_secrets",
    "conversation": "it belongs to a response",
    "input": "it belongs to a response",
    "metadata": "it belongs to a response; a trace has `session.tracing.metadata`",
    "modalities": "that is its name in the beta: write `session.output_modalities`",
    "voice": "write `session.audio.output.voice`",
    "speed": "write `session.audio.output.speed`",
    "turn_detection": "write `session.audio.input.turn_detection`",
    "input_audio_format": "that is its name in the beta: write `session.audio.input.format`",
    "output_audio_format": "that is its name in the beta: write `session.audio.output.format`",
    "input_audio_transcription": "that is its name in the beta: write `session.audio.input.transcription`",
    "input_audio_noise_reduction": "that is its name in the beta: write `session.audio.input.noise_reduction`",
    "max_response_output_tokens": "that is its name in the beta: write `session.max_output_tokens`",
    "temperature": "the Realtime API has none; for a provider that has, write `session.provider.temperature`",
}
"""Names that a reader may expect in `[session]`, and where their meaning is set."""
NOT_THE_PROVIDERS = frozenset({"type", "instructions", "model", "output_modalities", "tool_choice", "turn_detection"})
"""Fields that the gateway relies on: `[session.provider]` may not replace them unchecked."""
MAX_OUTPUT_TOKENS = 128_000
"""The longest context window of any model."""


class Reasoning(Table):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None


class TokenLimits(Table):
    post_instructions: int | None = Field(default=None, ge=1)


class RetentionRatio(Table):
    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0, le=1)
    token_limits: TokenLimits | None = None


class Tracing(Table):
    group_id: Text | None = None
    metadata: dict[str, Any] | None = None
    workflow_name: Text | None = None


class Prompt(Table):
    id: Text
    variables: dict[str, Any] | None = None
    version: Text | None = None


class ChosenFunction(Table):
    type: Literal["function"]
    name: Text


class ChosenHosted(Table):
    type: Literal["mcp"]
    server_label: Text
    name: Text | None = None


Chosen: TypeAlias = Annotated[
    Annotated[ChosenFunction, Tag("<function>")] | Annotated[ChosenHosted, Tag("<mcp>")],
    Discriminator(
        tag_of_type,
        custom_error_type="unknown_type",
        custom_error_message='write a table with a `type`: "function" and a `name`, or "mcp" and a `server_label`',
    ),
]
ToolChoice: TypeAlias = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag("<word>")] | Annotated[Chosen, Tag("<table>")], BY_SHAPE
]


def _is_number(value: object) -> str:
    return "<word>" if isinstance(value, str) else "<number>"


class AgentSession(Table):
    """Table `[session]` of an agent's file."""

    type: Literal["realtime"] = "realtime"
    audio: Audio | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    max_output_tokens: (
        Annotated[
            Annotated[int, Field(ge=1, le=MAX_OUTPUT_TOKENS), Tag("<number>")]
            | Annotated[Literal["inf"], Tag("<word>")],
            Discriminator(_is_number),
        ]
        | None
    ) = None
    output_modalities: list[Literal["audio", "text"]] | None = Field(default=None, min_length=1, max_length=1)
    parallel_tool_calls: bool | None = None
    prompt: Prompt | None = None
    reasoning: Reasoning | None = None
    tool_choice: ToolChoice | None = None
    tools: list[McpTool] | None = None
    tracing: (
        Annotated[Annotated[Literal["auto"], Tag("<word>")] | Annotated[Tracing, Tag("<table>")], BY_SHAPE] | None
    ) = None
    truncation: (
        Annotated[
            Annotated[Literal["auto", "disabled"], Tag("<word>")] | Annotated[RetentionRatio, Tag("<table>")], BY_SHAPE
        ]
        | None
    ) = None
    provider: dict[str, Any] = Field(default_factory=dict)
    """Fields of one provider beside those of the Realtime API; passed on unchecked, over the rest."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_from_elsewhere(cls, given: Any) -> Any:
        for name in sorted(ELSEWHERE.keys() & given.keys()) if isinstance(given, dict) else ():
            raise belongs_elsewhere(name, ELSEWHERE[name])
        return given

    @field_validator("tools")
    @classmethod
    def _told_apart(cls, tools: list[McpTool] | None) -> list[McpTool] | None:
        labels = [tool.server_label for tool in tools or ()]
        if len(labels) != len(set(labels)):
            raise ValueError("give each server a server_label of its own")
        return tools

    @field_validator("provider")
    @classmethod
    def _nothing_that_is_relied_on(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in sorted(NOT_THE_PROVIDERS & given.keys()):
            raise belongs_elsewhere(name, "the gateway relies on it: write it where docs/agents.md has it")
        audio = given.get("audio", {})
        tables = (
            (audio, *(audio.get(side, {}) for side in ("input", "output"))) if isinstance(audio, dict) else (audio,)
        )
        if not all(isinstance(table, dict) for table in tables):
            raise belongs_elsewhere("audio", "write tables, such as [session.provider.audio.input]")
        tools = given.get("tools", [])
        if not isinstance(tools, list) or not all(isinstance(tool, dict) and "type" in tool for tool in tools):
            raise belongs_elsewhere("tools", "write tables with a `type`: [[session.provider.tools]]")
        if any(tool["type"] in ("function", "mcp") for tool in tools):
            raise belongs_elsewhere("tools", "functions are workers', and MCP servers stand in [[session.tools]]")
        return given

    def said(self, path: str) -> bool:
        """Return true if the file sets this field of the session, given by its dotted name."""
        value: Any = self.model_dump(exclude_unset=True)
        for name in path.split("."):
            if not isinstance(value, dict) or name not in value:
                return False
            value = value[name]
        return True

    def hosted_tools(self) -> list[dict[str, Any]]:
        """Return the tools that the Realtime API, or the provider, runs itself."""
        return [*(as_sent(tool) for tool in self.tools or ()), *self.provider.get("tools", ())]

    def fields(self) -> dict[str, Any]:
        """Return the session as the Realtime API reads it, without `tools` and the provider's fields."""
        sent: dict[str, Any] = self.model_dump(exclude_unset=True, exclude={"type", "tools", "provider"})
        heard = (sent.get("audio") or {}).get("input") or {}
        for name in CAN_BE_OFF & heard.keys():
            heard[name] = heard[name] or None
        return sent


def as_sent(table: Table) -> dict[str, Any] | None:
    """Return a table as the Realtime API reads it, and null if it is empty."""
    return table.model_dump(exclude_unset=True) or None


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above` merged in, at any depth."""
    result = dict(below)
    for key, value in above.items():
        before = result.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            value = laid_over(before, value)
        result[key] = value
    return result
