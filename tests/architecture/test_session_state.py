"""The state of a session has one owner: each of its fields that change is assigned in one module only."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.source_tree import ROOT, modules, parse, write_tree

PARTS = ("gateway/session",)
OWNERS = {"link": "gateway/session/session.py", "epoch": "gateway/session/upstream_switcher.py"}
"""Fields of `SessionState` that change while the session runs, and the module that changes each."""


def changed_elsewhere(root: Path) -> list[str]:
    """Assignments to these fields outside the module that may change them."""
    return sorted(
        f"{path.relative_to(root)}:{target.lineno} {target.attr}"
        for path in modules(root, PARTS)
        for target in _assigned(parse(path))
        if target.attr in OWNERS and str(path.relative_to(root)) != OWNERS[target.attr]
    )


def _assigned(module: ast.Module) -> list[ast.Attribute]:
    """The attributes of other objects that a module assigns; what a class sets of `self` is no other object's."""
    return [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]


def test_each_field_that_changes_is_assigned_by_its_owner_alone() -> None:
    assert changed_elsewhere(ROOT) == []


def test_a_part_that_changes_the_state_of_another_is_found(tmp_path: Path) -> None:
    tree = {owner: f"self._session.{field} = 1" for field, owner in OWNERS.items()}
    breach = {"gateway/session/effects.py": "self._session.link, self.epoch = None, 2\nsession.epoch += 1"}
    write_tree(tmp_path, tree | breach)
    assert changed_elsewhere(tmp_path) == ["gateway/session/effects.py:1 link", "gateway/session/effects.py:2 epoch"]
