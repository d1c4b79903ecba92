"""An MCP server with malformed tools and unknown parts in its results: each costs only itself. Over real stdio."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ConfigurationError
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from workers.remote_tools.declaration import CALL
from workers.remote_tools.loader import load

ROOT = Path(__file__).parents[3]
GOOD = {"name": "good", "description": "Fine.", "inputSchema": {"type": "object", "properties": {"answer": {}}}}
OF_TEXT = {"type": "object", "properties": {"q": {"type": "string"}}}


def about(name: str, schema: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": "S.", "inputSchema": schema, **more}


def served(tmp_path: Path, tools: list[Any], wanted: str = '"*"') -> dict[str, Tool]:
    (tmp_path / "tools.json").write_text(json.dumps(tools), encoding="utf-8")
    command = [sys.executable, "-m", "tests.integration.toolbox.mcp_by_hand", str(tmp_path / "tools.json")]
    file = tmp_path / "tools.toml"
    table = f"[mcp.raw]\ncommand = {json.dumps(command)}\ncwd = {json.dumps(str(ROOT))}\ntools = {wanted}\n"
    file.write_text(table, encoding="utf-8")
    return {tool.name: tool for tool in load([str(file)])}


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    (about("null", {**OF_TEXT, "required": None}), "its schema is no JSON schema at required"),
    (
        about("inside", {"type": "object", "properties": {"q": {"type": "string"}, "required": ["q"]}}),
        """"['q']" stands where a schema should""",
    ),
    (about("none", None), "'None' stands where a schema should"),
    (about("list", {"type": "array", "items": {}}), "its arguments are not an object"),
    (about("outside", {"$ref": "https://127.0.0.1:9/x"}), "it refers to https://127.0.0.1:9/x, which is outside of it"),
    (about("b" * 80, OF_TEXT), "its name has 80 characters"),
    (about("cancel_call", OF_TEXT), "the gateway itself has a function cancel_call; give this one a name"),
    (about("go.od", OF_TEXT), "go/od is called go_od, too; give one of them a name"),
    (about("go+od", None), "'None' stands where a schema should"),
)


def test_malformed_tools_are_named_in_one_log_line_and_the_others_are_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        tools = [BAD[-1][0], about("go/od", OF_TEXT), *(tool for tool, _ in BAD[:-1]), GOOD]
        assert list(served(tmp_path, tools)) == ["go_od", "good"], "one that is left out takes no name"
    (record,) = caplog.records
    told = record.getMessage()
    assert told.startswith(f"{tmp_path / 'tools.toml'}: [mcp.raw]: 9 of 11 tools left out: go+od: ")
    for tool, why in BAD:
        assert f"{tool['name']}: {why}" in told


def test_what_has_no_name_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(served(tmp_path, [{"description": "nameless"}, "text", None, GOOD])) == ["good"]
    assert "[mcp.raw]: 3 listed tools have no name and are left out" in caplog.text


def test_a_tool_that_is_not_wanted_costs_nothing_and_one_that_is_wanted_costs_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tools = [about("bad", None), GOOD]
    assert list(served(tmp_path, tools, '["good"]')) == ["good"]
    assert not caplog.records
    assert list(served(tmp_path, tools, '["good", "bad"]')) == ["good"]
    assert "bad: 'None' stands where a schema should" in caplog.text


ODD: dict[str, tuple[dict[str, Any], Any]] = {
    "root": (about("root", {"$ref": "#/$defs/In", "$defs": {"In": OF_TEXT}}), OF_TEXT["properties"]),
    "anchor": (about("anchor", {"$ref": "#in", "$defs": {"In": {"$anchor": "in", **OF_TEXT}}}), OF_TEXT["properties"]),
    "typeless": (about("typeless", {"properties": {}}), {}),
    "output": (about("output", OF_TEXT, outputSchema={"description": "x"}), OF_TEXT["properties"]),
    "beside": (about("beside", OF_TEXT, annotations="none", icons=3, title=["t"]), OF_TEXT["properties"]),
}


def test_what_can_be_read_is_served_although_the_protocol_has_it_otherwise(tmp_path: Path) -> None:
    tools = served(tmp_path, [*(tool for tool, _ in ODD.values()), GOOD])
    assert {name: tools[name].announcement.parameters["properties"] for name in ODD} == {
        name: properties for name, (_, properties) in ODD.items()
    }
    assert tools["beside"].announcement.effect == "at_most_once"


def test_a_list_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"does not tell its tools \(ValidationError\); is it there\?") as told:
        served(tmp_path, "no list")  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


TEXT = {"type": "text", "text": "seven"}
PICTURE = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
RESULTS: tuple[tuple[Any, Any], ...] = (
    ({"content": [TEXT, {"type": "hologram", "data": "x"}]}, "seven\n[hologram: it cannot be told here]"),
    ({"content": [{"type": "image"}, "odd"]}, "[image: it cannot be told here]\n[None: it cannot be told here]"),
    ({"content": None}, "[nothing was returned]"),
    ({"structuredContent": {"a": 1}}, {"a": 1}),
    ({"structuredContent": [1], "content": []}, "[1]"),
    (
        {"content": [TEXT, PICTURE], "structuredContent": {"a": 1}},
        {"a": 1, "attachments": ["[image, image/png, 3 bytes: it cannot be told here]"]},
    ),
)


def test_of_a_result_no_part_is_lost_without_a_word(tmp_path: Path) -> None:
    pattern = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(x+)+$"}}, "required": ["b"]}
    tool = served(tmp_path, [{**GOOD, "outputSchema": pattern}])["good"]

    async def story() -> list[Any]:
        return [await tool.function(**{CALL: Call(), "answer": answer}) for answer, _ in RESULTS]

    assert asyncio.run(story()) == [told for _, told in RESULTS]
