"""Templates of the files that `ringback new-tool` writes."""

from __future__ import annotations

MODULE = '''\
"""A tool for voice models. A worker serves it if RINGBACK_TOOL_MODULES names this module."""

from __future__ import annotations

from ringback import Call, ToolError, tool


@tool(queue="default", timeout=15, effect="pure")
async def {name}(subject: str, call: Call) -> dict[str, str]:
    """Say in a sentence what this is for: the model chooses a function by it.

    Args:
        subject: what the caller asks about, in their own words.
    """
    if not subject.strip():
        raise ToolError("The subject is empty; ask the caller what they mean.", code="empty_subject")
    call.progress("looking")
    return {{"summary": f"{{subject}}: all is well"}}
'''

TEST = '''\
"""The outcome of a call of {name}, and what a caller hears."""

from __future__ import annotations

import asyncio

import pytest
from {name} import {name}

from ringback import ToolError
from ringback.testing import converse, fake_call


def test_it_returns_a_summary():
    call = fake_call(user="ada")
    assert asyncio.run({name}("the order", call)) == {{"summary": "the order: all is well"}}
    assert call.notes == ["looking"]


def test_it_says_what_is_wrong_with_an_empty_question():
    with pytest.raises(ToolError, match="ask the caller"):
        asyncio.run({name}(" ", fake_call()))


def test_the_caller_hears_the_answer():
    talk = converse("Please check the order.", tools=[{name}], calls={{"{name}": {{"subject": "the order"}}}})
    assert talk.outputs == ['{{"summary": "the order: all is well"}}'], str(talk)
    assert talk.said == ["the order: all is well"], str(talk)
'''

NEXT = """\
Wrote {module} and {test}. Next:

  python -m pytest {test}
{there}  RINGBACK_TOOL_MODULES={name} ringback tools run {name} subject='the order'
  RINGBACK_TOOL_MODULES={name} ringback worker

and name it in the agent's file: tools = ["{name}"]. To talk to it: RINGBACK_TOOL_MODULES={name} ringback up
More: docs/how-to/add-a-tool.md, docs/how-to/test-a-tool.md.
The test needs pytest beside Ringback: python -m pip install pytest"""
