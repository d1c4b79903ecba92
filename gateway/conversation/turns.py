"""The turns of the user, counted; and whether words of strangers have entered the conversation in this one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class UserTurns:
    """Counts each turn once, whether it was heard to begin, committed or typed."""

    number: int = 0
    _tainted_in: int | None = None
    _is_counted: bool = False
    """What the server takes in next has been counted, or is no turn of the user's."""

    def go_on_from(self, earlier: UserTurns) -> None:
        """Begin where an earlier epoch stands."""
        self.number, self._tainted_in, self._is_counted = earlier.number, earlier._tainted_in, earlier._is_counted

    def begin(self, *, aloud: bool = False) -> None:
        """The user has begun to say something, or has typed it."""
        self.number += 1
        self._is_counted = aloud

    def note_silence(self) -> None:
        """The user has said nothing for so long that the server takes that in (`idle_timeout_ms`)."""
        self._is_counted = True

    def committed(self) -> bool:
        """A turn was taken in. Where it was not heard to begin, it counts from here; return whether that is so."""
        is_new, self._is_counted = not self._is_counted, False
        self.number += is_new
        return is_new

    def taint(self) -> None:
        """The result of a tool that passes on words of strangers has entered the conversation."""
        self._tainted_in = self.number

    @property
    def is_tainted(self) -> bool:
        """What the model does next may be the will of strangers: the user has said nothing since."""
        return self._tainted_in == self.number
