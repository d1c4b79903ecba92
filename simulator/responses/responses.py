"""A response as the recorded servers send it: each step of a plan becomes a few events.

A :class:`PlayedResponse` is played step by step, so that it can be cut off between any two events. The cut closes what
is open (``...done`` events with what was said so far, items ``incomplete``) and ends with
``response.done``, as the server does for cancelled and incomplete responses.

Order for one item: ``response.output_item.added``, ``conversation.item.added``, the deltas, the ``...done``
of the content, ``conversation.item.done`` and only then ``response.output_item.done``.
"""

from __future__ import annotations

import copy
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from simulator.behavior import Knobs
from simulator.items import Items
from simulator.responses.outputs import Output
from simulator.responses.steps import Step, steps_of
from simulator.scripting.scenario import Cut
from simulator.scripting.script import Plan, Say
from simulator.wire import Event, server_event

# Output audio is counted as one token for 50 ms.
_MS_PER_AUDIO_TOKEN = 50
# Cached input is counted in blocks of 64 tokens.
_CACHE_BLOCK = 64
# A message costs a few tokens beside its words.
_TOKENS_PER_OUTPUT = 4
_RATE_LIMITED = {
    "type": "invalid_request_error",
    "code": "inference_rate_limit_exceeded",
    "message": "Rate limit reached. Please try again later.",
}


@dataclass
class PlayedResponse:
    """One response from ``response.created`` to ``response.done``.

    ``response`` is the response object of the events; ``items`` is the conversation it writes into, or None
    for a response out of band; ``input_tokens`` is (text, audio, cached);
    ``sound_format`` is that of its audio deltas.
    """

    response: dict[str, Any]
    items: Items | None
    knobs: Knobs
    input_tokens: tuple[int, int, int] = (0, 0, 0)
    sound_format: str = "audio/pcm"
    plan: Plan | None = None
    outputs: list[Output] = field(default_factory=list)
    finished: bool = False
    _steps: deque[Step] = field(default_factory=deque)

    @property
    def id(self) -> str:
        """The response's id."""
        return str(self.response["id"])

    @property
    def spoken(self) -> bool:
        """Whether messages are spoken rather than written."""
        return bool(self.response["output_modalities"] == ["audio"])

    @property
    def said_something(self) -> bool:
        """Whether the client got a part of a message."""
        return any(output.said and isinstance(output.of, Say) for output in self.outputs)

    @property
    def completed(self) -> bool:
        """Whether the response came to its end."""
        return bool(self.response["status"] == "completed")

    @property
    def wait_ms(self) -> float | None:
        """How long to wait before :meth:`advance`; None while unplanned and when finished."""
        if self.finished or self.plan is None:
            return None
        return self._steps[0].wait_ms if self._steps else 0.0

    def created(self) -> Event:
        """Return the ``response.created`` event."""
        return server_event("response.created", response=copy.deepcopy(self.response))

    def load_plan(self, plan: Plan, voices: dict[str, bytes]) -> None:
        """Take the plan and turn it into steps. ``voices`` is PCM16 audio by text."""
        limit = self.response["max_output_tokens"]
        self.plan = plan
        self.outputs = [
            Output.of_plan(of, self.id, index, audio=self.spoken, items=self.items, knobs=self.knobs)
            for index, of in enumerate(plan.outputs)
        ]
        for output in self.outputs:
            output.sound_format = self.sound_format
        limit = limit if isinstance(limit, int) else None
        self._steps.extend(steps_of(plan, voices, audio=self.spoken, limit=limit, knobs=self.knobs))

    def advance(self) -> list[Event]:
        """Play one step and return its events; the last one is ``response.done``."""
        if not self._steps:
            return [self._done("completed", None)]
        return self._play(self._steps.popleft())

    def _play(self, step: Step) -> list[Event]:
        if step.cut is not None:
            return self._cut_off(step.cut)
        output = self.outputs[step.output]
        if step.kind == "open":
            return output.opening()
        if step.kind == "close":
            return output.closing("completed")
        return [output.sound(step.pcm) if step.kind == "sound" else output.delta(step.piece)]

    def cut(self, reason: str, *, trailing: int = 0) -> list[Event]:
        """Cancel the response and return its last events.

        Args:
            reason: ``turn_detected`` or ``client_cancelled``.
            trailing: how many deltas of open outputs are still sent.
        """
        slips = [t for t in self._steps if t.kind in ("piece", "sound") and self.outputs[t.output].is_open]
        events = [event for step in slips[:trailing] for event in self._play(step)]
        self._steps.clear()
        return [*events, *self._cut_off(Cut.model_validate({"status": "cancelled", "reason": reason}))]

    def _cut_off(self, cut: Cut) -> list[Event]:
        events = [e for output in self.outputs if output.is_open for e in output.closing("incomplete")]
        details: dict[str, Any] = {"type": cut.status}
        if cut.status == "failed":
            details["error"] = _RATE_LIMITED
        elif cut.reason:
            details["reason"] = cut.reason
        return [*events, self._done(cut.status, details)]

    def _done(self, status: str, details: dict[str, Any] | None) -> Event:
        self.finished = True
        written = [copy.deepcopy(o.item) for o in self.outputs if o.item["status"] != "in_progress"]
        self.response.update(status=status, status_details=details, output=written, usage=self._usage())
        return server_event("response.done", response=copy.deepcopy(self.response))

    def _usage(self) -> dict[str, Any]:
        text, audio, cached = self.input_tokens
        cached -= cached % _CACHE_BLOCK
        opened = [o for o in self.outputs if o.item["status"] != "in_progress"]
        text_out = sum(o.deltas + _TOKENS_PER_OUTPUT for o in opened)
        audio_out = sum(o.heard_ms for o in opened) // _MS_PER_AUDIO_TOKEN
        return {
            "total_tokens": text + audio + text_out + audio_out,
            "input_tokens": text + audio,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text,
                "audio_tokens": audio,
                "image_tokens": 0,
                "cached_tokens": cached,
                "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }
