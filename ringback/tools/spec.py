"""The specification of a tool: what workers announce and gateways offer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ringback.jobs.states import Effect
from ringback.tools.behavior import Limits, ToolBehavior

DEFAULT_QUEUE = "default"
DEFAULT_TIMEOUT = 15.0
"""Seconds. A caller who waits in silence for longer hangs up."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """Specification of a tool, without its code: workers write it into Postgres, gateways read it there.

    Args:
        name: the function's name, as the model calls it.
        description: what the model is told it does.
        parameters: the JSON schema of the arguments.
        queue: the Celery queue its jobs go to.
        timeout: seconds that one attempt may run.
        retries: how many more attempts may follow a failed one.
        effect: what running it twice would mean.
        behavior: how a conversation behaves around a call of it.
        limits: how many calls may run or begin, over all workers.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    queue: str = DEFAULT_QUEUE
    timeout: float = DEFAULT_TIMEOUT
    retries: int = 0
    effect: Effect = Effect.PURE
    behavior: ToolBehavior = field(default_factory=ToolBehavior)
    limits: Limits = field(default_factory=Limits)

    @property
    def version(self) -> str:
        """Return twelve characters that change with the declaration: a call may fit one version and not another."""
        declared = asdict(self)
        declared["manners"] = declared.pop("behavior")  # the column's name: a rename in the code changes no version
        text = json.dumps(declared, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def for_model(self) -> dict[str, Any]:
        """Return the entry in `session.tools` (Realtime API, session.update)."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
        }
