"""Rendering of an outcome: what the model reads of it, and what the client is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway.conversation.turn_taking.late_results import Arrival, is_out_of_date, way_to_tell
from ringback.jobs.outcomes import MAX_OUTPUT_CHARS, Outcome
from ringback.jobs.states import JobState
from ringback.tools.behavior import Audience, Late, ToolBehavior

SHOWN = {
    "shown": True,
    "note": "The result is on the user's screen. You have not seen it: do not read it out or guess.",
}
NOT_SHOWN = {
    "error": {
        "code": "nowhere_to_show",
        "message": "The function has finished, but its result can only be shown on a screen, and this user has none.",
    }
}
OUT_OF_DATE = {
    "error": {"code": "out_of_date", "message": "The function took too long: its result is out of date. Leave it out."}
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """One outcome, in one conversation."""

    output: str
    """Of the `function_call_output` item."""
    late: Late = Late.SPEAK
    """How it is brought up (`turn_taking.late_results`)."""
    shown: Any = None
    """The result as the client is shown it (`ringback.result`); meaningful where `is_shown`."""
    is_shown: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What decides how this conversation reads any outcome.

    Args:
        client_shows: the client asked for results.
        max_chars: of the output.
    """

    client_shows: bool = False
    max_chars: int = MAX_OUTPUT_CHARS


def render(outcome: Outcome, behavior: ToolBehavior, arrival: Arrival, context: DeliveryContext) -> Rendering:
    """Render an outcome. The model always tells an error; a result goes by the tool's behavior."""
    late = way_to_tell(outcome, behavior, arrival)
    output = outcome.output(context.max_chars)
    if outcome.state is not JobState.SUCCEEDED:
        return Rendering(output, late)
    if is_out_of_date(outcome, behavior, arrival):
        return Rendering(json.dumps(OUT_OF_DATE), late)
    is_shown = behavior.audience is not Audience.MODEL and context.client_shows
    if behavior.audience is Audience.CLIENT:
        output = json.dumps(SHOWN if is_shown else NOT_SHOWN)
    return Rendering(output, late, outcome.result if is_shown else None, is_shown)
