"""What no committed file may say: where packages happen to be fetched from, and paths of somebody's own machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, committed_files

# Joined here, so that this file may be committed. Where packages come from is for pip, npm or apt to be told;
# the locks say by hash which ones.
HOSTS = tuple(
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
    ]
)
BESIDE = "/".join(("..", "shared"))
OWN_PATHS = (BESIDE, "/".join(("", "work", "")), "/".join(("", "root", "")))
# Conformance tests look for more recordings beside the checkout, and say so when there are none.
MAY_LOOK_BESIDE = "tests/conformance/"


def unspeakable(root: Path, files: Iterable[Path]) -> list[str]:
    """`path: what` for each registry host, and each path outside the project, that a file names."""
    found = []
    for path in files:
        place = str(path.relative_to(root))
        text = path.read_bytes().decode("utf-8", errors="replace")
        allowed = BESIDE if place.startswith(MAY_LOOK_BESIDE) else None
        found += [f"{place}: {what}" for what in HOSTS + OWN_PATHS if what in text and what != allowed]
    return found


def test_no_committed_file_names_a_registry_or_a_path_outside_the_project() -> None:
    assert unspeakable(ROOT, committed_files()) == []


@pytest.mark.parametrize("what", HOSTS + OWN_PATHS)
def test_a_registry_or_a_path_outside_the_project_is_found(tmp_path: Path, what: str) -> None:
    (tmp_path / "lock.txt").write_text(f"from https://{what}/simple", encoding="utf-8")
    assert unspeakable(tmp_path, [tmp_path / "lock.txt"]) == [f"lock.txt: {what}"]
