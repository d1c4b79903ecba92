"""Counter of the user's turns; it also knows whether words of strangers have come in the latest one."""

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
        """Count a turn: the user has begun to speak, or has typed a message."""
        self.number += 1
        self._is_counted = aloud

    def note_silence(self) -> None:
        """Note that the server takes a silence of the user into the conversation (`idle_timeout_ms`)."""
        self._is_counted = True

    def committed(self) -> bool:
        """Note that the server has taken a turn in. If it was not heard to begin, count it and return True."""
        is_new, self._is_counted = not self._is_counted, False
        self.number += is_new
        return is_new

    def taint(self) -> None:
        """Note that a result with words of strangers has entered the conversation."""
        self._tainted_in = self.number

    @property
    def is_tainted(self) -> bool:
        """True while the model may act on words of strangers: the user has had no turn since they came."""
        return self._tainted_in == self.number
