"""What of a call may stand in its row in clear text, and how those who need the rest get it.

The row shows what `ringback.privacy.redaction` leaves of it; the whole, encrypted, lies beside that
(`ringback.privacy.encryption`) for as long as the session lasts. Without a rule nothing is redacted, and without a key
nothing can be that would be needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from ringback.errors import ConfigurationError
from ringback.jobs.outcomes import Outcome
from ringback.privacy.encryption import DecryptionFailed, FieldCipher
from ringback.privacy.redaction import Redaction, of_arguments, of_result, words_in

ARGUMENTS, RESULT = "arguments", "result"

log = logging.getLogger(__name__)


class NoKey(ConfigurationError):
    """Something is to be redacted, and there is no key to keep it with for those who need it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, and RINGBACK_DATA_KEY is not set: make a key with `ringback data-key`, and give the same one to "
            "every gateway and worker"
        )


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value as its row may show it, and the whole of it, sealed; None where the row shows all."""

    shown: Any
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class RowPrivacy:
    """The rules of one process, and its keys."""

    redaction: Redaction = field(default_factory=Redaction)
    seals: FieldCipher | None = None

    def knowing(self, arguments: Any, fields: Iterable[str]) -> RowPrivacy:
        """The same, for what comes of a call with these arguments: what was taken out of them is taken out of that."""
        words = words_in(arguments, of_arguments(fields))
        return replace(self, redaction=replace(self.redaction, words=words)) if words else self

    def text(self, text: str) -> str:
        """A text of which nobody needs the whole: a note, or why an attempt failed."""
        return self.redaction.text(text)

    def arguments(self, arguments: Any, session_id: UUID, fields: Iterable[str] = ()) -> StoredValue:
        """A call's arguments; `fields` are those that its tool declares with `redact=`.

        Raises:
            NoKey: something is to be redacted, and there is no key.
        """
        shown = self.redaction.data(arguments, of_arguments(fields))
        return StoredValue(shown, self._sealed(arguments, shown, session_id, ARGUMENTS))

    def outcome(self, outcome: Outcome, session_id: UUID, fields: Iterable[str] = ()) -> tuple[Outcome, bytes | None]:
        """How a call ended: as its row shows it, and the whole of that where it differs.

        Raises:
            NoKey: something is to be redacted, and there is no key.
        """
        names = of_result(fields) if outcome.error is None else ()
        result, message = self.redaction.data(outcome.result, names), self.redaction.text(outcome.message)
        shown = Outcome(outcome.state, result, outcome.code, message)
        return shown, self._sealed(_ending(outcome), _ending(shown), session_id, RESULT)

    def whole_arguments(self, row: Any, session_id: UUID) -> Any:
        """What was asked, out of a job's row.

        Raises:
            DecryptionFailed: no key of this process opens it.
        """
        sealed = row.sealed_arguments
        return row.arguments if sealed is None else self._opened(sealed, session_id, ARGUMENTS)

    def whole(self, row: Any, session_id: UUID) -> Any:
        """A job's row with all that was asked and answered; where no key of this process opens it, as it is."""
        opened: dict[str, Any] = {}
        try:
            if getattr(row, "sealed_arguments", None) is not None:
                opened["arguments"] = self.whole_arguments(row, session_id)
            if row.sealed_result is not None:
                result, error = self._opened(row.sealed_result, session_id, RESULT)
                opened |= {"result": result, "error": error}
        except DecryptionFailed as problem:
            log.error("job %s: the model hears it with what was redacted left out: %s", row.id, problem)
        return SimpleNamespace(**{**row._mapping, **opened}) if opened else row

    def _sealed(self, whole: Any, shown: Any, session_id: UUID, column: str) -> bytes | None:
        if shown == whole:
            return None
        if self.seals is None:
            raise NoKey("something of a call is to be redacted")
        return self.seals.seal(whole, session_id, column)

    def _opened(self, sealed: bytes, session_id: UUID, column: str) -> Any:
        if self.seals is None:
            raise DecryptionFailed("RINGBACK_DATA_KEY is not set in this process")
        return self.seals.open(sealed, session_id, column)


def _ending(outcome: Outcome) -> list[Any]:
    return [outcome.result, outcome.error]
