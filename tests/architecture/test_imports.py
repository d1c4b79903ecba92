"""Which package may import which: import-linter's contracts hold, and each is seen to break."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT, write_tree

CONTRACTS = ROOT / ".importlinter"
LINT = """
import contextlib, importlib, io, json, os, sys
from importlinter.cli import lint_imports

outcomes = []
for root in sys.argv[2:]:
    os.chdir(root)
    sys.path.insert(0, root)
    importlib.invalidate_caches()
    with contextlib.redirect_stdout(io.StringIO()) as report:
        status = lint_imports(config_filename=sys.argv[1], no_cache=True)
    sys.path.remove(root)
    outcomes.append([status, report.getvalue()])
print(json.dumps(outcomes))
"""

# The contracts' names in .importlinter, by which the linter reports them.
LAYERS = "cli over gateway | workers | simulator over ringback"
SIMULATOR = "The simulator stands alone, or it would agree with the gateway's mistakes"
WORKERS = "Workers know no web server"
TOOLS = "The gateway offers tools, it never imports one"
TESTING = "The testing kit stands on top: tests import it, and nothing of ours"
CIRCLES = "No two modules or packages of one folder import each other"
GATEWAY = "Each package of the gateway stands above what it imports"
CONVERSATION = "Each package of a conversation stands above what it imports"

KIT = {
    "ringback/testing.py": "from cli.rehearsal import converse",
    "cli/rehearsal.py": "import gateway, workers",
    "gateway/conversation/turn_taking/slot.py": "",
}
"""The one import that goes up, what it leads to, and a package that a contract names."""


class Outcome(NamedTuple):
    status: int
    report: str


def lint_imports(*roots: Path) -> list[Outcome]:
    """Check our contracts against the packages of each tree, whichever tree is installed.

    One process for all of them: most of what a check takes is the start of Python.
    """
    ended = subprocess.run(
        [sys.executable, "-c", LINT, str(CONTRACTS), *map(str, roots)],
        cwd=roots[0],
        env={**os.environ, "PYTHONPATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [Outcome(*each) for each in json.loads(ended.stdout)]


def test_every_contract_is_kept() -> None:
    (outcome,) = lint_imports(ROOT)
    assert outcome.status == 0, outcome.report


def test_the_testing_kit_may_reach_up_and_takes_nobody_along(tmp_path: Path) -> None:
    (outcome,) = lint_imports(write_tree(tmp_path, {**KIT, "gateway/storage/job_publisher.py": "import fastapi"}))
    assert outcome.status == 0, outcome.report


def test_the_contracts_cover_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(CONTRACTS)
    assert sorted(config["importlinter"]["root_packages"].split()) == sorted(PACKAGES)
    layers = config["importlinter:contract:layers"]["layers"].replace("|", " ").split()
    assert sorted(layers) == sorted(PACKAGES)


BREACHES = [
    ("gateway/storage/job_publisher.py", "import workers.claim", LAYERS),
    ("gateway/storage/job_publisher.py", "import simulator", LAYERS),
    ("workers/claim.py", "import gateway", LAYERS),
    ("ringback/jobs/states.py", "import gateway", LAYERS),
    ("ringback/jobs/states.py", "def late():\n    from cli import main", LAYERS),
    ("simulator/server/server.py", "import ringback.jobs.states", SIMULATOR),
    (
        "simulator/server/server.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import cli",
        SIMULATOR,
    ),
    ("workers/claim.py", "import fastapi", WORKERS),
    ("workers/claim.py", "from websockets import connect", WORKERS),
    ("ringback/jobs/states.py", "import starlette.requests", WORKERS),
    ("gateway/storage/job_publisher.py", "import workers.claim", TOOLS),
    ("gateway/storage/job_publisher.py", "from ringback.testing import converse", TESTING),
    ("ringback/jobs/states.py", "def late():\n    from ringback import testing", TESTING),
    ("cli/main.py", "import ringback.testing", TESTING),
    ("ringback/testing.py", "import gateway\nfrom cli.rehearsal import converse", LAYERS),
    ("ringback/jobs/states.py", "from cli.rehearsal import converse", LAYERS),
    ("gateway/background/tools.py", "import gateway.session.session", CIRCLES),
    ("gateway/conversation/client/view.py", "import gateway.conversation.speaker", CIRCLES),
    ("workers/claim.py", "import workers.leases.lease", CIRCLES),
    ("gateway/background/news.py", "import gateway.background.sources", CIRCLES),
    (
        "gateway/background/tools.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import gateway.session.session",
        CIRCLES,
    ),
    ("gateway/auth/tokens.py", "import gateway.session.session", GATEWAY),
    ("gateway/conversation/actions.py", "import gateway.conversation.turn_taking.slot", CONVERSATION),
]
"""Importer, statement and the contract that it breaks."""


@pytest.fixture(scope="module")
def breached(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """What the linter says of each breach, on a toy tree of its own."""
    session = {
        "gateway/session/session.py": "import gateway.background.tools",
        "gateway/background/tools.py": "",
        "gateway/background/sources.py": "import gateway.background.news",
    }
    others = {
        "gateway/conversation/speaker.py": "import gateway.conversation.client.view",
        "gateway/conversation/client/view.py": "",
        "workers/leases/lease.py": "import workers.claim",
    }
    kept = {"workers/claim.py": "", "ringback/jobs/states.py": "", "cli/main.py": "", **session, **KIT, **others}
    folder = tmp_path_factory.mktemp("breaches")
    trees = (kept | {importer: statement} for importer, statement, _ in BREACHES)
    return lint_imports(*(write_tree(folder / str(number), files) for number, files in enumerate(trees)))


@pytest.mark.parametrize("number", range(len(BREACHES)), ids=[f"{a}-{b}-{c}" for a, b, c in BREACHES])
def test_a_broken_contract_is_named(breached: list[Outcome], number: int) -> None:
    outcome, contract = breached[number], BREACHES[number][2]
    assert outcome.status == 1, outcome.report
    assert f"{contract} BROKEN" in outcome.report
