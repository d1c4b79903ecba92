"""Items that a client may create, or name as the input of one response, as types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct

from gateway.protocol.values import Audio, ItemId, MadeItemId, Open, Text

MAX_CALL_ID_CHARS = 1_024
"""Some servers and proxies make ids of hundreds of characters; OpenAI's have 32 at most."""


class InputText(Struct, tag="input_text", tag_field="type"):
    text: Text


class InputAudio(Struct, tag="input_audio", tag_field="type", omit_defaults=True):
    audio: Audio
    transcript: Open[Text] = UNSET


class InputImage(Struct, tag="input_image", tag_field="type", omit_defaults=True):
    image_url: Annotated[str, Meta(pattern=r"^data:image/(png|jpeg);base64,")]
    detail: Open[Literal["auto", "low", "high"]] = UNSET


class OutputText(Struct, tag="output_text", tag_field="type"):
    """Words of the model in an earlier conversation."""

    text: Text


PARTS = {"user": (InputText, InputAudio, InputImage), "system": (InputText,), "assistant": (OutputText,)}
"""The parts that a message may have, by its role."""


class ClientMessage(Struct, tag="message", tag_field="type", omit_defaults=True):
    """Message of the user; a trusted client may also create history and instructions."""

    content: Annotated[list[InputText | InputAudio | InputImage | OutputText], Meta(min_length=1, max_length=32)]
    role: Literal["user", "system", "assistant"]
    id: Open[MadeItemId] = UNSET


class FunctionCallOutput(Struct, tag="function_call_output", tag_field="type", omit_defaults=True):
    """Result of a call that the client runs itself. The conversation checks that the call is the client's."""

    call_id: Annotated[str, Meta(min_length=1, max_length=MAX_CALL_ID_CHARS)]
    output: Text
    id: Open[MadeItemId] = UNSET


class ItemReference(Struct, tag="item_reference", tag_field="type"):
    """Item of the conversation, named as input of a response out of band."""

    id: ItemId
