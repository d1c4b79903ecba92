"""Scenario files: the shipped ones load, and a wrong one is refused with its file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.scripting.scenario import ScenarioError, load, parse, shipped


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_loads_and_says_what_it_is_about(name: str) -> None:
    scenario = load(name)
    assert scenario.name == name
    assert scenario.about.endswith(".")
    assert scenario.turns


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1]", "here.yaml: a scenario is a mapping with `turns`, not list."),
        ("a: [", "here.yaml: not valid YAML"),
        ("trun: []", "here.yaml: trun: Extra inputs are not permitted"),
        ("turns: [{hears: '('}]", "here.yaml: turns.0.hears: Value error, not a regular expression"),
        ("turns: [{says: '{a:shout}'}]", "here.yaml: turns.0.says.0: Value error, unknown format 'shout'"),
        ("turns: [{calls: [{arguments: {}}]}]", "here.yaml: turns.0.calls.0.tool: Field required"),
        ("knobs: {second_output: maybe}", "here.yaml: knobs.second_output: Input should be 'accept' or 'error'"),
        ("knobs: {refuse: {status: 200}}", "here.yaml: knobs.refuse.status"),
        ("session: {output_modalities: [smell]}", "here.yaml: session.output_modalities"),
        ("like: nobody", "here.yaml: like: there is no shipped scenario 'nobody'."),
    ],
)
def test_a_wrong_scenario_is_refused_with_its_file_and_field(text: str, complaint: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse(text, "here", "here.yaml")
    assert str(refused.value).startswith(complaint)


def test_a_scenario_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("turns: [{hears: hello, says: Hi.}]", encoding="utf-8")
    assert load(str(path)).name == "mine"


def test_an_unknown_scenario_names_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario 'nobody': name a file or one of azure, .*demo"):
        load("nobody")


def test_a_scenario_like_another_keeps_what_it_does_not_replace() -> None:
    mine = parse("like: demo\notherwise: Pardon?", "mine", "mine.yaml")
    assert mine.turns == load("demo").turns
    assert (mine.name, mine.otherwise) == ("mine", "Pardon?")
