"""What may reach the Realtime API from each kind of client: written down a second time, without the decoder's types.

A path names a field; `*` stands for every entry of a list, and for whatever name the client chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ANYONE = {
    "event_id type audio item_id content_index audio_end_ms response_id item session response",
    "item.type item.id item.role item.content item.content.* item.content.*.type item.content.*.text",
    "item.content.*.audio item.content.*.transcript item.content.*.image_url item.content.*.detail",
    "response.conversation response.output_modalities response.output_modalities.* response.metadata",
    "session.type session.output_modalities session.output_modalities.* session.audio session.audio.input",
    "session.audio.output session.audio.input.format session.audio.input.format.type session.audio.input.format.rate",
    "session.audio.input.transcription session.audio.input.transcription.model",
    "session.audio.input.transcription.language session.audio.input.transcription.languages",
    "session.audio.input.transcription.languages.* session.audio.input.transcription.delay",
    "session.audio.input.noise_reduction session.audio.input.noise_reduction.strength",
    "session.audio.input.noise_reduction.type session.audio.input.turn_detection",
    "session.audio.input.turn_detection.languages.*",
    "session.audio.output.format session.audio.output.format.type session.audio.output.format.rate",
    "session.audio.output.speed",
    *(
        f"session.audio.input.turn_detection.{name}"
        for name in (
            *("type", "threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms", "eagerness"),
            *("create_response", "interrupt_response", "speech_duration_ms", "remove_filler_words", "auto_truncate"),
            "languages",
        )
    ),
}
BACKENDS = {
    "item.call_id item.output session.audio.output.voice session.audio.output.voice.id session.max_output_tokens",
    "session.tool_choice session.tool_choice.type session.tool_choice.name session.include session.include.*",
    "session.tools session.tools.* session.tools.*.type session.tools.*.name session.tools.*.description",
    "session.tools.*.parameters response.max_output_tokens response.tool_choice response.tool_choice.type",
    "response.tool_choice.name response.instructions response.audio response.audio.output previous_item_id",
    "response.audio.output.voice response.audio.output.voice.id response.audio.output.format",
    "response.audio.output.format.type response.audio.output.format.rate response.input response.input.*",
    "session.audio.input.transcription.prompt session.audio.input.transcription.keywords",
    "session.audio.input.transcription.keywords.*",
    *(
        f"response.input.*.{name}"
        for name in (
            *("type", "id", "role", "content", "content.*", "content.*.type", "content.*.text", "content.*.audio"),
            *("content.*.transcript", "content.*.image_url", "content.*.detail"),
        )
    ),
}
OF_THE_GATEWAY = frozenset({"ringback.approval.respond", "ringback.playback"})
"""Events of a client that go no further than the gateway."""
OPEN = ("response.metadata", "session.tools.*.parameters")
"""Below these the client chooses the names."""
TYPES = {
    *("input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear"),
    *("conversation.item.create", "conversation.item.truncate", "response.create", "response.cancel", "session.update"),
    "conversation.item.delete",
}


def paths_of(kind: str) -> frozenset[str]:
    """All that a client of this kind may fill in."""
    lines = ANYONE if kind == "browser" else ANYONE | BACKENDS
    return frozenset(path for line in lines for path in line.split())


def strays(event: dict[str, Any], kind: str) -> list[str]:
    """The paths of an event that such a client has no business with."""
    allowed = paths_of(kind)
    return [path for path in _paths(event, "") if path not in allowed and not path.startswith(_BELOW)]


_BELOW = tuple(f"{path}." for path in OPEN)


def _paths(value: Any, prefix: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield prefix + name
            yield from _paths(inner, f"{prefix}{name}.")
    elif isinstance(value, list):
        for inner in value:
            yield f"{prefix}*"
            yield from _paths(inner, f"{prefix}*.")
