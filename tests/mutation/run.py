"""Take each guard away in a copy of the tree, run the tests named for it, and say which of them noticed.

    python -m tests.mutation.run                 all of them; writes docs/mutants.md
    python -m tests.mutation.run "the token"     those whose names hold one of these texts; the page keeps the others
    python -m tests.mutation.run --stories       by the state machine and the explorer alone; writes nothing

Servers: DATABASE_URL and REDIS_URL, or embedded ones. Exits with 1 where a mutant was not caught.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.mutation.mutant import Mutant
from tests.mutation.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/mutants.md"
STORIES = "tests/integration/statements/test_state_machine.py tests/integration/statements/test_interleavings.py"
SECONDS = 600
"""For the tests of one mutant; one that hangs has been noticed."""
HEAD = """# Mutants: which test notices which change

`make mutants` removes each guard behind a promise of [guarantees.md](guarantees.md) in turn, in a copy of the tree, and
runs the tests named for it. If no test notices the loss of a guard, the promise is unchecked.

Last run on {date}: {caught} of {all} caught.

| the removed guard | caught by |
| --- | --- |
"""


def main(words: list[str]) -> int:
    with_stories = "--stories" in words
    words = [word for word in words if not word.startswith("--")]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.guard for word in words)]
    found = {}
    with servers() as environment, tempfile.TemporaryDirectory() as folder:
        tree = copied_tree(Path(folder))
        whole = STORIES if with_stories else " ".join(sorted({mutant.tests for mutant in chosen}))
        if broken := first_failure(tree, environment, whole):
            print(f"with every guard in its place, this fails already: {broken}")  # noqa: T201
            return 1
        for mutant in chosen:
            found[mutant.guard] = noticed(tree, mutant, environment, STORIES if with_stories else mutant.tests)
            said = f"caught by {found[mutant.guard]}" if found[mutant.guard] else "NOT CAUGHT"
            print(f"{mutant.guard}: {said}", flush=True)  # noqa: T201
    if not with_stories:
        PAGE.write_text(page({**written(), **found}), encoding="utf-8")
    return 0 if all(found.values()) else 1


def noticed(tree: Path, mutant: Mutant, environment: dict[str, str], tests: str) -> str:
    """The first test that fails in the tree without that guard; empty where none does."""
    before = {change.path: (tree / change.path).read_text(encoding="utf-8") for change in mutant.changes}
    try:
        for change in mutant.changes:
            path = tree / change.path
            path.write_text(change.applied(path.read_text(encoding="utf-8")), encoding="utf-8")
        return first_failure(tree, environment, tests)
    finally:
        for name, text in before.items():
            (tree / name).write_text(text, encoding="utf-8")


def first_failure(tree: Path, environment: dict[str, str], tests: str) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests.split()]
    try:
        run = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{tests} (it never ends)"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+?)(?:\[|$| )", run.stdout, re.MULTILINE)
    if run.returncode not in (0, 1) or bool(run.returncode) != bool(failed):
        raise RuntimeError(f"the tests could not be run:\n{run.stdout[-3_000:]}\n{run.stderr[-3_000:]}")
    return failed[1] if failed else ""


def written() -> dict[str, str]:
    """What the page says of mutants that there still are."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    rows = dict(re.findall(r"^\| (.+?) \| (?:`(.+?)`|\*\*nothing\*\*) \|$", text, re.MULTILINE))
    return {mutant.guard: rows[mutant.guard] for mutant in MUTANTS if mutant.guard in rows}


def page(found: dict[str, str]) -> str:
    caught = sum(bool(test) for test in found.values())
    lines = [f"| {guard} | {f'`{test}`' if test else '**nothing**'} |" for guard, test in found.items()]
    return HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", caught=caught, all=len(found)) + "\n".join(lines) + "\n"


def copied_tree(folder: Path) -> Path:
    """What a clone holds or the next commit would add."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """The environment of the tests: one pair of servers for all of them."""
    ours = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if {"DATABASE_URL", "REDIS_URL"} <= ours.keys():
        yield ours
        return
    from cli.local_stack.embedded_servers import embedded_servers

    with embedded_servers(durable=False) as embedded:
        yield {**ours, "DATABASE_URL": embedded.database_url, "REDIS_URL": embedded.keeper_redis_url}  # tests flush it


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
