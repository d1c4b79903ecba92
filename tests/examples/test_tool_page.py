"""docs/how-to/add-a-tool.md names every keyword of `@tool`, with what it is unless given."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from ringback.tools.decorator import tool

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-tool.md"
ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| ", re.MULTILINE)


def test_every_keyword_stands_there_with_what_it_is_unless_given() -> None:
    told = {name: ast.literal_eval(default) for name, default in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(tool).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert told == keywords
    assert list(told) == list(keywords), "in the same order"
