"""Scenario files: which words of the user lead to which calls, and what the model says with the results.

docs/scenarios.md describes the format. An invalid file is refused with one sentence that names the file and the field.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from simulator.behavior import Knobs
from simulator.config import default_session, updated
from simulator.scripting import yaml_core
from simulator.scripting.template import unknown_specs
from simulator.wire import Refused


class ScenarioError(Exception):
    """A missing or invalid scenario; the message names the file and the field."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def _template(text: str) -> str:
    unknown = unknown_specs(text)
    if unknown:
        raise ValueError(f"unknown format {min(unknown)!r}; there are title, upper and number")
    return text


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Pattern = Annotated[str, AfterValidator(_pattern)]
Template = Annotated[str, AfterValidator(_template)]
Templates = Annotated[list[Template], BeforeValidator(_listed)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cut(_Strict):
    """How a response ends early."""

    status: Literal["cancelled", "incomplete", "failed"]
    reason: Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"] | None = None
    after_deltas: int = Field(default=1, ge=0, description="Deltas of the last output that still arrive.")
    times: int = Field(default=1, ge=1, description="How often it happens; afterwards the turn succeeds.")


class ToolCall(_Strict):
    """One function call: its tool and its arguments, in which ``{group}`` stands for what the user said."""

    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Turn(_Strict):
    """Words of the user, and the model's reaction."""

    hears: Pattern | None = None
    spoken: int | None = Field(default=None, ge=1, description="Or: the n-th spoken turn, without speech recognition.")
    calls: list[ToolCall] = Field(default_factory=list)
    says: Templates | None = None
    commentary: Template | None = Field(default=None, description="What a 2.x model says beside its calls.")
    cut: Cut | None = None


class Answer(_Strict):
    """What the model says with a tool's output: the first template whose fields all exist."""

    says: Templates
    error: Templates = ["I am sorry, that did not work: {error.message}", "I am sorry, that did not work."]


class Waiting(_Strict):
    """What the model says when the user asks about a pending call."""

    hears: Pattern = r"still|yet|how long|are you there|hello|ready|what.s (taking|happening)|any news|hurry"
    says: str = "I'm still waiting on that."


class Scenario(_Strict):
    """One scenario file."""

    name: str
    about: str = ""
    model: str | None = Field(default=None, description="Wins over the model in the URL.")
    session: dict[str, Any] = Field(default_factory=dict, description="Changes to the default session.")
    knobs: Knobs = Knobs()
    turns: list[Turn] = Field(default_factory=list)
    answers: dict[str, Answer] = Field(default_factory=dict)
    waiting: Waiting = Waiting()
    understands: bool = Field(
        default=True, description="Where no turn matches, match what was said to the session's tools by their schemas."
    )
    otherwise: str = "I can only say what my script tells me to."

    def turned(self, knobs: Mapping[str, str]) -> Scenario:
        """Return the scenario with some of its knobs changed; raise KnobError like ``Knobs.turned``."""
        return self.model_copy(update={"knobs": self.knobs.turned(knobs)}) if knobs else self


def shipped() -> list[str]:
    """Return the names of the shipped scenarios, sorted."""
    folder = resources.files("simulator").joinpath("scenarios")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(name_or_path: str) -> Scenario:
    """Load a shipped scenario by name, or one from a file.

    Raises:
        ScenarioError: there is no such scenario, or it is invalid; the message says where.
    """
    if name_or_path in shipped():
        return _load_shipped(name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(shipped())
        raise ScenarioError(f"There is no scenario {name_or_path!r}: name a file or one of {known}.")
    return parse(path.read_text("utf-8"), path.stem, str(path))


@functools.cache
def _load_shipped(name: str) -> Scenario:
    text = resources.files("simulator").joinpath("scenarios", f"{name}.yaml").read_text("utf-8")
    return parse(text, name, f"scenario {name}")


def parse(text: str, name: str, where: str) -> Scenario:
    """Parse a scenario's YAML; ``where`` names the source in error messages."""
    try:
        raw = yaml_core.load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ScenarioError(f"{where}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ScenarioError(f"{where}: a scenario is a mapping with `turns`, not {type(raw).__name__}.")
    parts = _included(raw, where)
    try:
        scenario = Scenario.model_validate({"name": name, **parts})
        updated(default_session(""), {"type": "realtime", **scenario.session}, voice_locked=False)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"])
        raise ScenarioError(f"{where}: {field}: {first['msg']}") from error
    except Refused as refused:
        raise ScenarioError(f"{where}: {refused.param}: {refused.message}") from refused
    return scenario


def _included(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """Complete a scenario with ``like: NAME`` from that shipped scenario."""
    like = raw.pop("like", None)
    if like is None:
        return raw
    if like not in shipped():
        raise ScenarioError(f"{where}: like: there is no shipped scenario {like!r}.")
    model = load(like).model_dump(exclude={"name", "about"}, exclude_unset=True)
    return {**model, **raw}
