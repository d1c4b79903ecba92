"""The locks fit the declared dependencies, on this interpreter, and pin everything by hash."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import ROOT

SETS = {"run": ("fast", "mcp"), "simulator": ("voice",), "demo": ("demo",), "dev": ("dev",)}
ENTRY = re.compile(r"^([a-z0-9][^=\s]*==\S+(?: ; [^\\\n]+)?) \\\n((?:    --hash=sha256:\S+(?: \\)?\n)+)", re.MULTILINE)


def entries(lock: Path) -> list[Requirement]:
    return [Requirement(entry[0]) for entry in ENTRY.findall(lock.read_text(encoding="utf-8"))]


def declared(root: Path, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """What pyproject.toml asks for with those extras, the extras of its own that these name included."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    for requirement in (Requirement(text) for texts in lists for text in texts):
        if requirement.name == project["name"]:
            yield from declared(root, tuple(requirement.extras))
        elif requirement.marker is None or requirement.marker.evaluate():
            yield requirement


def unfit(root: Path, lock: Path, extras: tuple[str, ...]) -> list[str]:
    """Declared requirements that the lock leaves out, or pins at a version they do not allow."""
    pinned = {
        canonicalize_name(entry.name): next(iter(entry.specifier)).version
        for entry in entries(lock)
        if entry.marker is None or entry.marker.evaluate()
    }
    return [
        str(requirement)
        for requirement in declared(root, extras)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
        or canonicalize_name(requirement.name) not in pinned
    ]


@pytest.mark.parametrize("name", SETS)
def test_a_lock_fits_what_is_declared(name: str) -> None:
    assert unfit(ROOT, ROOT / f"requirements/{name}.txt", SETS[name]) == [], "run `make locks`"


@pytest.mark.parametrize("name", [*SETS, "build"])
def test_a_lock_pins_every_package_by_hash_and_names_no_place(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if line and line[0] not in "# "]
    assert len(entries(ROOT / f"requirements/{name}.txt")) == len(pins) > 0
    assert "://" not in text


def test_a_package_has_one_version_in_all_locks() -> None:
    dev = {str(entry).partition(";")[0] for entry in entries(ROOT / "requirements/dev.txt")}
    for name in [*SETS, "build"]:
        assert {str(e).partition(";")[0] for e in entries(ROOT / f"requirements/{name}.txt")} <= dev


@pytest.mark.parametrize("pins", ["other==1", "celery==5.6", "celery==5.7 ; python_version < '3'"])
def test_a_lock_that_does_not_fit_is_found(tmp_path: Path, pins: str) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndependencies = ["celery>=5.7"]\noptional-dependencies = {}\n'
    )
    (tmp_path / "run.txt").write_text(f"{pins} \\\n    --hash=sha256:00\n")
    assert unfit(tmp_path, tmp_path / "run.txt", ()) == ["celery>=5.7"]
