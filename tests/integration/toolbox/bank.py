"""Tools whose calls hold what no row may show."""

from __future__ import annotations

from typing import Any

from ringback import Call, ToolError, tool


@tool(queue="errands", redact=("iban", "result.iban"))
def transfer(iban: str, note: str, call: Call) -> dict[str, Any]:
    """Give back what was heard."""
    call.progress(f"sending: {note}")
    call.summary(f"{note} from {iban}")
    return {"iban": iban, "note": note, "heard": call.arguments}


@tool(queue="errands", retries=1)
def complain(note: str, retryable: bool) -> None:
    """Say no, and why."""
    raise ToolError(f"not with {note}", code="no_card", retryable=retryable)


@tool(queue="errands", redact=("iban",))
def break_down(iban: str, call: Call) -> None:
    """Fail, and say over what."""
    call.summary(f"nothing under {iban}")
    raise LookupError(f"nothing under {iban}")
