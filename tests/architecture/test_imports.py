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
    ],
)
def test_a_broken_contract_is_named(tmp_path: Path, importer: str, statement: str, contract: str) -> None:
    kept = {"workers/claim.py": "", "ringback/jobs.py": "", "cli/main.py": ""}
    outcome = lint_imports(write_tree(tmp_path, kept | {importer: statement}))
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert f"{contract} BROKEN" in outcome.stdout
