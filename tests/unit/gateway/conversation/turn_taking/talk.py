"""A script of a talk that also collects what is written of what was heard, and of when both sides spoke."""

from __future__ import annotations

from typing import Any

from gateway.conversation.actions import KeepMoments, NoteTold
from ringback.moments import Moment
from ringback.statements.jobs.deliveries import Told
from tests.unit.gateway.conversation.script import Event, Script, call, created, done, echo

BYTES_A_SECOND = 24_000 * 2
LONG, SHORT = 4.0, 0.4


class Talk(Script):
    """A script that also collects what is written of what was heard."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        self.moments: list[Moment] = []
        self.told: list[Told] = []
        super().__init__(*args, **fields)

    def _do(self, actions: Any) -> list[str]:
        for action in actions:
            if isinstance(action, KeepMoments):
                self.moments += action.moments
            elif isinstance(action, NoteTold):
                self.told += action.told
        return super()._do(actions)

    def answer(self, response: str = "R2", seconds: float = LONG, item: str = "item_2", *, ends: str = "") -> None:
        """The model says the result aloud, in two pieces of audio; the response ends with that status, if one is given.

        Only the first piece is looked at.
        """
        self.model(
            created(response), {"type": "response.output_item.added", "response_id": response, "item": message(item)}
        )
        self.sounds(seconds, response, item)
        if ends:
            self.model(done(response, ends))

    def sounds(self, seconds: float, response: str = "R2", item: str = "item_2") -> None:
        chars = int(seconds / 2 * BYTES_A_SECOND * 4 / 3)
        delta = {"type": "response.output_audio.delta", "response_id": response, "item_id": item, "delta": "A" * chars}
        self.model(delta)
        assert self.conversation.audio_passed(item, chars, self.now), "what follows the first piece passes"

    def leave(self) -> None:
        self._do(self.conversation.left("client_closed_1000", self.now))

    def plays(self, ms: float, item: str = "item_2") -> None:
        self.client(type="ringback.playback", item_id=item, played_ms=ms)

    def truncates(self, ms: float, item: str = "item_2") -> None:
        self.client(type="conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=ms)

    def kinds(self) -> list[str]:
        return [str(moment.kind) for moment in self.moments]


def message(item: str) -> Event:
    return {"id": item, "type": "message", "role": "assistant", "content": []}


def talk(*wants: str) -> Talk:
    script = Talk(wants=wants)
    script.opened()
    script.model(created("R1"), call("a"))
    (record,) = script.records
    script.model(done("R1"))
    script._do(script.conversation.recorded(record, script.now))
    script.deliver("a")
    script.model(echo("a"))
    script.wait(1.0)
    script.moments.clear()
    return script
