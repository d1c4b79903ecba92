"""The knobs of a scenario: how the server behaves, apart from what the model says.

Each default is what the recordings show. A knob whose description begins with "Unknown" stands for a fact without a
source: run a client against each of its values. ``oddities`` has the differences of other providers' servers; they are
knobs, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.oddities import Oddities
from simulator.speech.vad import DEFAULT_SPEECH_LEVEL


class KnobError(ValueError):
    """An unknown knob, or an invalid value; the message names the knob."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(_Strict):
    """Refuse the upgrade with an HTTP status."""

    status: Literal[401, 403, 404, 429, 500, 503]
    times: int = Field(default=1, ge=1, description="How many connections are refused before one is accepted.")


class Drop(_Strict):
    """End the connection after a certain event."""

    after: str = Field(description="The event type, sent or received, after which the connection ends.")
    nth: int = Field(default=1, ge=1, description="The number of that event in a connection.")
    times: int = Field(default=1, ge=1, description="How many connections are dropped before one goes on.")
    code: Literal[1001, 1006, 1011, 1012] = Field(
        default=1006, description="1006 cuts the TCP connection without a close frame."
    )


class Knobs(Oddities):
    """All settings of the server that a scenario may change."""

    refuse: Refusal | None = Field(default=None, description="Refuse connections at the upgrade.")
    drop: Drop | None = Field(default=None, description="Drop connections after a certain event.")
    expire_after_ms: int | None = Field(
        default=None, ge=0, description="Send `session_expired` and close with 1001 after this time."
    )
    lifetime_ms: int | None = Field(
        default=None, ge=0, description="How long `session.expires_at` promises; null: `expire_after_ms`, or an hour."
    )
    think_ms: int = Field(default=0, ge=0, description="Pause between `response.created` and the first output.")
    text_delta_ms: int = Field(default=0, ge=0, description="Pause before each delta of text or arguments.")
    audio_speed: float = Field(
        default=10.0, ge=0, description="How many times faster than real time audio is sent; 0 is at once."
    )
    ack_delay_ms: int = Field(default=0, ge=0, description="Delay of the events that answer an item create.")
    items_during_response: Literal["after", "at_once"] = Field(
        default="after",
        description="When an item created during a response is acknowledged; recorded three times as `after`.",
    )
    trailing_deltas: int = Field(default=2, ge=0, description="Deltas still sent after a response was cut off.")
    error_event_id: Literal["echo", "null", "other"] = Field(
        default="echo", description="Unknown for collisions: `error.event_id` is the client's, null, or of no event."
    )
    second_output: Literal["accept", "error"] = Field(
        default="accept", description="Unknown: a second output for one call id."
    )
    lenient_items: bool = Field(
        default=False, description="Unknown: a client's item keeps its `status`, and an output needs no call."
    )
    done_previous_item_id: Literal["recorded", "null", "right"] = Field(
        default="recorded",
        description="`previous_item_id` of `conversation.item.done`; recorded as null after the first item.",
    )
    late_done: bool = Field(
        default=False, description="`response.done` of a cut response comes after the next `response.created`."
    )
    content_part_twice: bool = Field(
        default=False, description="Azure repeats `part` as `content` in `response.content_part.*`."
    )
    rate_limits: Literal["never", "calls", "always"] = Field(
        default="never", description="After which `response.done` a `rate_limits.updated` follows."
    )
    commentary: bool | None = Field(
        default=None, description="Say a `phase: commentary` message beside calls; null: when the model is 2.x."
    )
    loose_arguments: bool | None = Field(
        default=None, description="Arguments with stray white space; null: when the model is not 2.x."
    )
    parallel_calls: bool = Field(default=True, description="Whether several calls may share one response.")
    repeat_pending_calls: bool = Field(
        default=False, description="Unknown: asked again for what is pending, call again instead of waiting."
    )
    rival_response_ms: int | None = Field(
        default=None, ge=0, description="After a call, the server starts a response of its own that lasts so long."
    )
    conversation_created: bool = Field(
        default=False, description="xAI sends `conversation.created` after `session.created`."
    )
    ping_ms: int | None = Field(default=None, gt=0, description="xAI sends `ping` events; how often.")
    sideband_after_ms: int = Field(
        default=0, ge=0, description="For so long after its answer a call has no sideband: 404 `call_id_not_found`."
    )
    sideband_needs_caller: bool = Field(
        default=False, description="Unknown: 404 for a sideband until the caller is connected."
    )
    speech_level: float = Field(
        default=DEFAULT_SPEECH_LEVEL, gt=0, description="Loudness (RMS) of speech at a VAD threshold of 0.5."
    )

    def turned(self, changes: Mapping[str, str]) -> Knobs:
        """Return these knobs with some changed, by name and value as text.

        Raises:
            KnobError: one of them is unknown, or has an invalid value.
        """
        try:
            return Knobs.model_validate({**self.model_dump(exclude_unset=True), **changes})
        except ValidationError as error:
            first = error.errors()[0]
            raise KnobError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error

    def at_connection(self, number: int) -> Knobs:
        """Return the knobs of the server's n-th connection, from 1: without oddities before `odd_from_connection`."""
        if number >= self.odd_from_connection:
            return self
        usual = {name: value for name, value in self.model_dump().items() if name not in Oddities.model_fields}
        return Knobs.model_validate(usual)


SIMPLE = frozenset(Knobs.model_fields) - {"refuse", "drop"}
"""The knobs that one word of text can set: on the command line, by the control API, in a connection's URL."""
