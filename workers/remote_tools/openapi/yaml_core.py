"""YAML as OpenAPI means it: the core schema of YAML 1.2, which has only JSON's values.

PyYAML reads YAML 1.1. There `NO` is false, `012` is ten, `12:30` is 750 and `2024-01-01` is a date. Here they are the
texts and numbers that the author of a document means. Names of fields are texts, as written (`200`, `on`, `null`), and
stand once. `<<` merges, as in every reader of OpenAPI documents. The simulator has its own reader of this kind.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode

_STR, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
# By tag: the scalars that it takes (YAML 1.2.2, 10.3.2), and the characters with which they begin.
_SCALARS: dict[str, tuple[str, list[str]]] = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    _MERGE: (r"<<", ["<"]),
}


class CoreLoader(yaml.SafeLoader):
    """Loader of the core schema; it refuses every other tag."""

    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (*_SCALARS, _STR, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", None)
        if tag in yaml.SafeLoader.yaml_constructors
    }

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """Give each field its name as written, once."""
        node: MappingNode = super().compose_mapping_node(anchor)
        _check_names(node)
        return node


def load(text: str) -> Any:
    """Return the one document in the text.

    Raises:
        yaml.YAMLError: it is no YAML, has a name twice, or has what JSON cannot hold.
    """
    return yaml.load(text, CoreLoader)  # noqa: S506 — a SafeLoader with less in it


def _check_names(node: MappingNode) -> None:
    found: set[str] = set()
    for name, _ in node.value:
        if not isinstance(name, ScalarNode):
            raise ConstructorError(None, None, "a field is named by what is no text", name.start_mark)
        if name.tag == _MERGE:
            continue
        name.tag = _STR
        if name.value in found:
            raise ConstructorError(None, None, f"the field {name.value!r} stands twice", name.start_mark)
        found.add(name.value)


def _integer(loader: yaml.SafeLoader, node: Node) -> int:
    text = str(loader.construct_scalar(node))  # type: ignore[arg-type]
    try:
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    except ValueError:  # Python reads only so many digits
        raise ConstructorError(None, None, f"a number of {len(text)} digits", node.start_mark) from None


CoreLoader.yaml_implicit_resolvers = {}
CoreLoader.add_constructor("tag:yaml.org,2002:int", _integer)
for _tag, (_pattern, _first) in _SCALARS.items():
    CoreLoader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})$"), _first)
