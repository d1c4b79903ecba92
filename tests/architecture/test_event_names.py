"""A conversation decides by domain events: the names of the events on the wire stand in one module of it.

So another protocol of a model's server is another adapter beside `gateway/upstream/realtime_events.py`, and changes no
decision.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, modules, parse, write_tree

FOLDER = "gateway/conversation"
VOCABULARY = f"{FOLDER}/event_names.py"
FAMILIES = (
    *("session", "conversation", "response", "input_audio_buffer", "output_audio_buffer"),
    *("rate_limits", "mcp_list_tools", "ringback"),
)
NAME = re.compile(rf"(?:{'|'.join(FAMILIES)})\.[a-z_.]*")


def event_names(root: Path) -> list[str]:
    """Strings outside the vocabulary that are the name of an event, or the beginning of one."""
    found = []
    for path in modules(root, (FOLDER,)):
        place = str(path.relative_to(root))
        if place != VOCABULARY:
            found += [f"{place}:{line} {name}" for line, name in _names(parse(path))]
    return found


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
            yield node.lineno, node.value
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from ((node.lineno, "error") for key, value in pairs if _is(key, "type") and _is(value, "error"))


def _is(node: ast.expr | None, value: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def test_a_conversation_names_events_in_one_module() -> None:
    assert event_names(ROOT) == []
    assert (ROOT / VOCABULARY).is_file()


@pytest.mark.parametrize(
    "line",
    [
        'is_over = kind == "response.done"',
        'BEGINNINGS = ("input_audio_buffer.",)',
        'event = {"type": "error", "error": {}}',
        'match event:\n    case {"type": "ringback.job"}:\n        pass',
    ],
)
def test_a_name_elsewhere_is_found(tmp_path: Path, line: str) -> None:
    files = {
        f"{FOLDER}/room/speaker.py": f'"""Of `response.done`."""\n{line}\n',
        VOCABULARY: 'DONE = "response.done"\n',
    }
    (found,) = event_names(write_tree(tmp_path, files))
    assert found.startswith(f"{FOLDER}/room/speaker.py:")
