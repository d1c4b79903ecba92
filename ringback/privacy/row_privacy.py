"""Privacy of a call's row: what it may show in clear text, and how the worker and the gateway read the rest.

The row shows what `ringback.privacy.redaction` leaves. The whole value, encrypted (`ringback.privacy.encryption`), lies
beside it for as long as the session lasts. Without a rule no value is redacted. Without a key no value can be redacted
that is still needed.
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
    """Error of a value that is to be redacted and is still needed, without a key to encrypt it with."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}, and RINGBACK_DATA_KEY is not set: make a key with `ringback data-key`, and give the same one to "
            "every gateway and worker"
        )


@dataclass(frozen=True, slots=True)
class StoredValue:
    """Value as its row may show it, and the whole value, encrypted; None if the row shows all."""

    shown: Any
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class RowPrivacy:
    """Redaction rules and keys of one process."""

    redaction: Redaction = field(default_factory=Redaction)
    cipher: FieldCipher | None = None

    def with_secrets_of(self, arguments: Any, fields: Iterable[str]) -> RowPrivacy:
        """Return the rules for the outcome of a call, which also redact what was redacted in its arguments."""
        words = words_in(arguments, of_arguments(fields))
        return replace(self, redaction=replace(self.redaction, words=words)) if words else self

    def text(self, text: str) -> str:
        """Redact a text that is not needed whole: a progress note, or why an attempt failed."""
        return self.redaction.text(text)

    def arguments(self, arguments: Any, session_id: UUID, fields: Iterable[str] = ()) -> StoredValue:
        """Redact a call's arguments; `fields` are those that its tool declares with `redact=`.

        Raises:
            NoKey: a value is to be redacted, and there is no key.
        """
        shown = self.redaction.data(arguments, of_arguments(fields))
        return StoredValue(shown, self._encrypted(arguments, shown, session_id, ARGUMENTS))

    def outcome(self, outcome: Outcome, session_id: UUID, fields: Iterable[str] = ()) -> tuple[Outcome, bytes | None]:
        """Redact an outcome. Returns it as its row shows it, and the whole, encrypted, if that differs.

        Raises:
            NoKey: a value is to be redacted, and there is no key.
        """
        names = of_result(fields) if outcome.error is None else ()
        result, message = self.redaction.data(outcome.result, names), self.redaction.text(outcome.message)
        shown = Outcome(outcome.state, result, outcome.code, message)
        return shown, self._encrypted(_ending(outcome), _ending(shown), session_id, RESULT)

    def reveal_arguments(self, row: Any, session_id: UUID) -> Any:
        """Return the whole arguments of a job's row.

        Raises:
            DecryptionFailed: no key of this process decrypts them.
        """
        sealed = row.sealed_arguments
        return row.arguments if sealed is None else self._decrypted(sealed, session_id, ARGUMENTS)

    def reveal(self, row: Any, session_id: UUID) -> Any:
        """Return a job's row with its whole arguments and result. If no key of this process fits, it stays redacted."""
        opened: dict[str, Any] = {}
        try:
            if getattr(row, "sealed_arguments", None) is not None:
                opened["arguments"] = self.reveal_arguments(row, session_id)
            if row.sealed_result is not None:
                result, error = self._decrypted(row.sealed_result, session_id, RESULT)
                opened |= {"result": result, "error": error}
        except DecryptionFailed as problem:
            log.error("decryption failed (job %s: %s); the model gets the redacted values", row.id, problem)
        return SimpleNamespace(**{**row._asdict(), **opened}) if opened else row

    def _encrypted(self, whole: Any, shown: Any, session_id: UUID, column: str) -> bytes | None:
        if shown == whole:
            return None
        if self.cipher is None:
            raise NoKey("something of a call is to be redacted")
        return self.cipher.encrypt(whole, session_id, column)

    def _decrypted(self, sealed: bytes, session_id: UUID, column: str) -> Any:
        if self.cipher is None:
            raise DecryptionFailed("RINGBACK_DATA_KEY is not set in this process")
        return self.cipher.decrypt(sealed, session_id, column)


def _ending(outcome: Outcome) -> list[Any]:
    return [outcome.result, outcome.error]
