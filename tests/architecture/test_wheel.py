"""The wheel holds our packages and nothing else, and works away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

pytestmark = pytest.mark.long

OWNERS = """
from importlib.metadata import packages_distributions
owners = packages_distributions()
for package in {packages!r}:
    print(package, *sorted(set(owners[package])))
"""


def run(*command: str | Path, cwd: Path) -> str:
    outcome = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, f"{command}\n{outcome.stdout}\n{outcome.stderr}"
    return outcome.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder away from the checkout, with an environment `venv` in which only the wheel holds our packages.

    Our dependencies are borrowed: their folder goes on the path by a .pth file. The interpreter reads no .pth file in
    a folder that it was led to by one, so this checkout's editable install stays behind.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv/bin/python"
    (site_packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", wheel, cwd=folder)
    return folder


def test_its_top_level_names_are_exactly_our_packages(contents: list[str]) -> None:
    names = {name.split("/")[0] for name in contents if ".dist-info/" not in name}
    assert names == set(PACKAGES)


def test_it_holds_every_module_of_our_packages(contents: list[str]) -> None:
    ours = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert ours - set(contents) == set()


def test_it_holds_every_file_of_the_pages(contents: list[str]) -> None:
    files = {path for path in (ROOT / "gateway/web").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {path.suffix for path in files} >= {".html", ".css"}
    assert {str(path.relative_to(ROOT)) for path in files} <= set(contents)


@pytest.mark.parametrize(("source", "inside"), [("migrations", "ringback/migrations"), ("agents", "cli/agents")])
def test_what_lives_outside_the_packages_travels_inside_them(contents: list[str], source: str, inside: str) -> None:
    files = [p for p in (ROOT / source).rglob("*") if p.suffix in {".py", ".toml", ".mako"}]
    assert files, f"{source}/ holds nothing to travel"
    assert {f"{inside}/{path.relative_to(ROOT / source)}" for path in files} <= set(contents)


def test_each_of_our_packages_belongs_to_us_alone(elsewhere: Path) -> None:
    owners = run("venv/bin/python", "-c", OWNERS.format(packages=PACKAGES), cwd=elsewhere)
    assert owners.splitlines() == [f"{package} ringback" for package in PACKAGES]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_imported_from_the_wheel(elsewhere: Path, package: str) -> None:
    place = run("venv/bin/python", "-c", f"import {package}; print({package}.__file__)", cwd=elsewhere)
    assert place.startswith(str(elsewhere / "venv"))


@pytest.mark.parametrize("words", [[], ["migrate"]], ids=["ringback", "ringback migrate"])
def test_the_program_answers_away_from_the_checkout(elsewhere: Path, words: list[str]) -> None:
    assert "Usage" in run("venv/bin/ringback", *words, "--help", cwd=elsewhere)
