"""Functions whose calls hold what must be kept nowhere: RINGBACK_TOOL_MODULES=tests.attacks.toolbox.accounts."""

from __future__ import annotations

from typing import Any

from ringback import Call, tool


@tool(redact=("iban", "result.balance"))
def pay(iban: str, note: str, call: Call) -> dict[str, Any]:
    """Pay, and tell what has been heard."""
    call.progress(f"paying from {iban}: {note}")
    return {"iban": iban, "note": note, "balance": "4711 euros"}


@tool(redact=("iban",))
def refuse(iban: str) -> None:
    """Fail by accident, with all that was heard in the exception."""
    raise LookupError(f"no such account: {iban}")
