"""Documents of who serves what: the tools of live workers, and the processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, Field

from ringback.history.documents import Utc
from ringback.history.pagination import Document, Listing
from ringback.jobs.states import Effect


class ServedTool(Document):
    """A tool that live workers serve, as the worker that started last declares it."""

    object: Literal["tool"] = "tool"
    name: str
    description: str
    parameters: dict[str, Any]
    queue: str
    timeout: float
    retries: int
    effect: Effect
    manners: dict[str, Any] = Field(description="how a conversation behaves around a call of it")
    limits: dict[str, Any] = Field(description="its limits over all workers together")
    version: str
    workers: int


class OfferedTool(Document):
    """A tool that a worker serves, and its version."""

    name: str
    version: str
    queue: str


class Process(Document):
    """A gateway or a worker, whether its lease holds, and what it serves."""

    object: Literal["worker"] = "worker"
    id: str
    kind: Literal["gateway", "worker"]
    host: str
    pid: int
    queues: list[str]
    started_at: Utc
    alive: bool
    lease_until: Utc
    slots: int = Field(description="jobs it runs at once")
    running: int = Field(description="jobs it runs now")
    tools: list[OfferedTool]


def tools(rows: Iterable[Any]) -> Listing[ServedTool]:
    """Return the document of the rows of `statements.history.served_tools`."""
    return Listing[ServedTool](data=[tool(row) for row in rows])


def tool(row: Any) -> ServedTool:
    """Return the document of one row of `statements.history.served_tools`."""
    return ServedTool(**_columns(ServedTool, row))


def processes(rows: Iterable[Any]) -> Listing[Process]:
    """Return the document of the rows of `statements.history.all_processes`."""
    return Listing[Process](data=[Process(**_columns(Process, row)) for row in rows])


def _columns(model: type[BaseModel], row: Any) -> dict[str, Any]:
    """Return the fields of `model` that a row has."""
    return {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}
