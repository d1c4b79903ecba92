"""Values that client events are made of, as types with their bounds."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from msgspec import Meta, UnsetType

T = TypeVar("T")
Open: TypeAlias = T | UnsetType | None
"""Value that a client may leave out, or send as null, as many serializers do."""
NULL_MEANS_OFF = frozenset({"turn_detection", "noise_reduction", "transcription", "idle_timeout_ms", "type"})
"""Names where null means "off"; everywhere else the gateway drops it. xAI writes "off" as `{"type": null}`."""

Text = Annotated[str, Meta(max_length=65_536)]  # Far more than a person types, far less than a context window.
Milliseconds = Annotated[float, Meta(ge=0, le=3_600_000)]  # A session lasts an hour at most; written as an integer.
Word = Annotated[str, Meta(max_length=64)]
Language = Annotated[str, Meta(max_length=16)]
Languages = Annotated[list[Language], Meta(max_length=32)]
Modalities = Annotated[list[Literal["audio", "text"]], Meta(min_length=1, max_length=2)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
OutputTokens = Annotated[int, Meta(ge=1, le=128_000)] | Literal["inf"]  # The longest context window there is.
Audio = Annotated[bytes, Meta(max_length=15 * 1024 * 1024)]  # The Realtime API's own limit for one event.
MadeItemId = Annotated[str, Meta(min_length=1, max_length=32)]
"""An id that a client makes: the Realtime API refuses longer ones."""
ItemId = Annotated[str, Meta(min_length=1, max_length=512)]
"""An id that a server may have made: xAI's have 36 characters, those of proxies more."""
