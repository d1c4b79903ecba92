"""docs/scenarios.md tells of every scenario and every knob that there is, and its example is a valid scenario."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.behavior import Knobs
from simulator.scripting.scenario import parse, shipped

PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text("utf-8")
ROWS = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_is_told_of(name: str) -> None:
    assert f"`{name}`" in ROWS


@pytest.mark.parametrize("name", Knobs.model_fields)
def test_every_knob_is_told_of(name: str) -> None:
    assert re.search(rf"`{name}[`:]", ROWS)


@pytest.mark.parametrize("name", [n for n, f in Knobs.model_fields.items() if "nknown" in (f.description or "")])
def test_a_knob_for_an_unknown_fact_is_marked_so(name: str) -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}`")]
    assert "**unknown**" in row


def test_the_example_is_a_valid_scenario() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert parse(example, "example", "docs/scenarios.md").turns[0].calls[0].tool == "weather"
