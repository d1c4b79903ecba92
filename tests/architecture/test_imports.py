"""Which package may import which: import-linter's contracts hold, and each is seen to break."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, write_tree

CONTRACTS = ROOT / ".importlinter"
LINT = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"

# The contracts' names in .importlinter, by which the linter reports them.
LAYERS = "cli over gateway | workers | simulator over ringback"
SIMULATOR = "The simulator stands alone, or it would agree with the gateway's mistakes"
WORKERS = "Workers know no web server"
TOOLS = "The gateway offers tools, it never imports one"
TESTING = "The testing kit stands on top: tests import it, and nothing of ours"

KIT = {"ringback/testing.py": "from cli.rehearsal import converse", "cli/rehearsal.py": "import gateway, workers"}
"""The one import that goes up, and what it leads to."""


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check our contracts against the packages of that tree, whichever tree is installed."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--config", str(CONTRACTS), "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_contract_is_kept() -> None:
    outcome = lint_imports(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_the_testing_kit_may_reach_up_and_takes_nobody_along(tmp_path: Path) -> None:
    outcome = lint_imports(write_tree(tmp_path, {**KIT, "gateway/dispatch.py": "import fastapi"}))
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_the_contracts_cover_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(CONTRACTS)
    assert sorted(config["importlinter"]["root_packages"].split()) == sorted(PACKAGES)
    layers = config["importlinter:contract:layers"]["layers"].replace("|", " ").split()
    assert sorted(layers) == sorted(PACKAGES)


@pytest.mark.parametrize(
    ("importer", "statement", "contract"),
    [
        ("gateway/dispatch.py", "import workers.claim", LAYERS),
        ("gateway/dispatch.py", "import simulator", LAYERS),
        ("workers/claim.py", "import gateway", LAYERS),
        ("ringback/jobs.py", "import gateway", LAYERS),
        ("ringback/jobs.py", "def late():\n    from cli import main", LAYERS),
        ("simulator/server.py", "import ringback.jobs", SIMULATOR),
        (
            "simulator/server.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cli",
            SIMULATOR,
        ),
        ("workers/claim.py", "import fastapi", WORKERS),
        ("workers/claim.py", "from websockets import connect", WORKERS),
        ("ringback/jobs.py", "import starlette.requests", WORKERS),
        ("gateway/dispatch.py", "import workers.claim", TOOLS),
        ("gateway/dispatch.py", "from ringback.testing import converse", TESTING),
        ("ringback/jobs.py", "def late():\n    from ringback import testing", TESTING),
        ("cli/main.py", "import ringback.testing", TESTING),
        ("ringback/testing.py", "import gateway\nfrom cli.rehearsal import converse", LAYERS),
        ("ringback/jobs.py", "from cli.rehearsal import converse", LAYERS),
    ],
)
def test_a_broken_contract_is_named(tmp_path: Path, importer: str, statement: str, contract: str) -> None:
    kept = {"workers/claim.py": "", "ringback/jobs.py": "", "cli/main.py": "", **KIT}
    outcome = lint_imports(write_tree(tmp_path, kept | {importer: statement}))
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert f"{contract} BROKEN" in outcome.stdout
