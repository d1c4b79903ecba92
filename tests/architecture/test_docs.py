"""What the documents name exists: files, tests, headings, make targets, subcommands.

Prose drifts when nobody runs it. A path that begins with `my` (`my_tools/orders.py`) is the reader's own, and one
with a placeholder in it (`tests/unit/test_<module>.py`) is nobody's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from cli.main import program
from tests.architecture.source_tree import ROOT, committed_files, parse

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**/*.md")
SUFFIXES = "py|md|toml|yaml|yml|txt|in|ini|json|jsonl|sql|html|js|css|wav|mako"
FILE = re.compile(rf"(?:[\w.\-]+/)*[\w.\-]+\.(?:{SUFFIXES})|(?:[\w\-]+/)+|Makefile|Dockerfile|LICENSE|\.ci/run")
# What the program or a build writes: no clone holds it.
WRITTEN = re.compile(r"dist/|.*\.wav")
READERS_OWN = re.compile(r"(?:.*/)?my[\w\-]*(?:/.*|\.\w+)")

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
NAMED = re.compile(r"`((?:[\w.\-]+/)*[\w.\-]+\.py)`,\s+`(?!\w+\.py`)((?:\w+\.)?[A-Za-z_]\w*)`")
"""A file and a name in it: `gateway/app.py`, `lifespan`."""
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)
TEST = re.compile(r"test_\w+")
MAKE = re.compile(r"make ((?:[A-Z]+=\S+ )*)([a-z][a-z\-]*(?: [a-z][a-z\-]*)*)")
TASKS = re.compile(r"^## Where to change what$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
TASK = re.compile(r"^### (.+?)$(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\d+\. .*(?:\n   .*)*", re.MULTILINE)
STEPS_AT_MOST = 4
WANTED_TASKS = (
    *("A client event", "A provider", "A column in the history", "When a late result is spoken"),
    *("An upstream protocol", "A setting", "A metric", "A page"),
)
RINGBACK = re.compile(r"(?:\.venv/bin/)?ringback ([a-z][a-z\-]*(?: [a-z][a-z\-]*)*)")


class Mention(NamedTuple):
    document: str
    name: str


def documents(root: Path) -> Iterator[tuple[str, str]]:
    """Each document's path in the tree, and its text."""
    for path in sorted({path for pattern in DOCUMENTS for path in root.glob(pattern)}):
        yield str(path.relative_to(root)), path.read_text(encoding="utf-8")


def spans(root: Path) -> Iterator[Mention]:
    """What stands in backticks within the prose."""
    for document, text in documents(root):
        yield from (Mention(document, span) for span in SPAN.findall(FENCE.sub("", text)))


def shell_lines(root: Path) -> Iterator[Mention]:
    """What a reader may type: what stands in backticks, and the lines of the fenced blocks."""
    yield from spans(root)
    for document, text in documents(root):
        for block in FENCE.findall(text):
            yield from (Mention(document, line.strip().removeprefix("$ ")) for line in block.splitlines())


def missing_files(root: Path, files: set[str]) -> list[Mention]:
    """Paths that are no file or folder of the tree, from its root or beside the document; `name.py` may be anywhere."""
    folders = {f"{folder}/" for name in files for folder in Path(name).parents}
    known = files | folders | {Path(name).name for name in files}
    found = []
    for document, span in spans(root):
        name = re.sub(r"(::\w+|:\d+|#[\w\-]+)$", "", span)
        if not FILE.fullmatch(name) or WRITTEN.fullmatch(name) or READERS_OWN.fullmatch(name):
            continue
        beside = (Path(document).parent / name).as_posix() + "/" * name.endswith("/")
        if name not in known and beside not in known:
            found.append(Mention(document, span))
    return found


def missing_tests(root: Path) -> list[Mention]:
    """Tests that no test module defines; with `path::test_name`, that this one does not."""
    defined = {path: _names_in(path) for path in (root / "tests").rglob("test_*.py")}
    anywhere = {name for names in defined.values() for name in names}
    found = []
    for document, span in spans(root):
        place, in_file, name = span.rpartition("::")
        if TEST.fullmatch(name) and name not in (defined.get(root / place, set()) if in_file else anywhere):
            found.append(Mention(document, span))
    return found


def missing_names(root: Path) -> list[Mention]:
    """Return names behind a file, `gateway/app.py`, `lifespan`, that the file does not define."""
    found = []
    for document, text in documents(root):
        for file, name in NAMED.findall(FENCE.sub("", text)):
            path = root / file
            if path.is_file() and not set(name.split(".")) <= _defined_in(path):
                found.append(Mention(document, f"{file}, {name}"))
    return found


def broken_links(root: Path) -> list[Mention]:
    """Links within the tree whose file, or whose heading in it, is not there."""
    found = []
    for document, text in documents(root):
        for link in LINK.findall(FENCE.sub("", text)):
            place, _, heading = link.partition("#")
            target = (root / document).parent / place if place else root / document
            outside = re.match(r"[a-z]+:", link)
            if not outside and (not target.exists() or (heading and heading not in _anchors(target))):
                found.append(Mention(document, link))
    return found


def missing_targets(root: Path) -> list[Mention]:
    targets = set(re.findall(r"^([a-z\-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    typed = ((document, MAKE.match(line)) for document, line in shell_lines(root))
    words = ((document, word) for document, match in typed if match for word in match[2].split())
    return [Mention(document, word) for document, word in words if word not in targets]


def commands(root: Path) -> list[Mention]:
    """Each `ringback ...` that a document has its reader type, as far as its words are plain."""
    typed = ((document, RINGBACK.match(line)) for document, line in shell_lines(root))
    return sorted({Mention(document, match[1]) for document, match in typed if match})


def steps_of_tasks(text: str) -> dict[str, list[str]]:
    """Return the numbered steps of each task under "Where to change what"."""
    section = TASKS.search(text)
    return {task: STEP.findall(body) for task, body in TASK.findall(section[1])} if section else {}


def unclear_tasks(text: str) -> list[str]:
    """Return the tasks with no step, too many steps, or a step that names no file."""
    return [
        task
        for task, steps in steps_of_tasks(text).items()
        if not 0 < len(steps) <= STEPS_AT_MOST or not all(_names_a_file(step) for step in steps)
    ]


def _names_a_file(step: str) -> bool:
    return any(FILE.fullmatch(span) for span in SPAN.findall(step))


def _defined_in(path: Path) -> set[str]:
    """Return the names of functions, classes and variables that the module defines, however deep."""
    nodes = list(ast.walk(parse(path)))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {
        node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }


def _names_in(path: Path) -> set[str]:
    return {str(node.name) for node in parse(path).body if hasattr(node, "name")}


def _anchors(document: Path) -> set[str]:
    headings = HEADING.findall(FENCE.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def _document(root: Path, text: str) -> Path:
    (root / "docs").mkdir()
    (root / "docs/tour.md").write_text(text, encoding="utf-8")
    (root / "Makefile").write_text("demo: x\n", encoding="utf-8")
    (root / "tests/unit").mkdir(parents=True)
    (root / "tests/unit/test_jobs.py").write_text("def test_it_rings(): ...\n", encoding="utf-8")
    return root


def test_the_documents_are_looked_at() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {name for name, _ in documents(ROOT)}


def test_every_file_the_documents_name_exists() -> None:
    assert missing_files(ROOT, {str(path.relative_to(ROOT)) for path in committed_files()}) == []


def test_every_test_the_documents_name_exists() -> None:
    assert missing_tests(ROOT) == []


def test_every_name_behind_a_file_is_defined_there() -> None:
    assert missing_names(ROOT) == []


def test_every_link_within_the_documents_resolves() -> None:
    assert broken_links(ROOT) == []


def test_every_make_target_the_documents_name_exists() -> None:
    assert missing_targets(ROOT) == []


def test_every_subcommand_the_documents_name_exists() -> None:
    documents_by_words = {words: document for document, words in commands(ROOT)}
    for words, document in documents_by_words.items():
        helped = CliRunner().invoke(program(), [*words.split(), "--help"])
        assert helped.exit_code == 0, f"{document}: ringback {words}: {helped.output}"


def test_contributing_says_where_to_change_what() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert tuple(steps_of_tasks(text)) == WANTED_TASKS
    assert unclear_tasks(text) == []


@pytest.mark.parametrize("steps", ["", "1. Change it.", "1. Edit `a.py`.\n2. Run it.", "1. Edit `a.py`.\n" * 5])
def test_a_task_that_does_not_say_where_is_found(steps: str) -> None:
    good = "### One\n\n1. Edit `gateway/a.py`, then run\n   `make laws`.\n2. Edit `b.md`.\n"
    text = f"## Where to change what\n\n{good}\n### Two\n\n{steps}\n\n## The laws\n\n### Three\n"
    assert unclear_tasks(text) == ["Two"]


def test_a_subcommand_that_is_gone_is_found() -> None:
    assert CliRunner().invoke(program(), ["jobs", "sing", "--help"]).exit_code == 2


@pytest.mark.parametrize(
    "span", ["gateway/gone.py", "gone.py", "contract/", "gateway/gone.py:12", "workers/inbox.py", "gone.md#here"]
)
def test_a_file_that_is_gone_is_found(tmp_path: Path, span: str) -> None:
    _document(tmp_path, f"See `{span}`.")
    assert missing_files(tmp_path, {"gateway/background/result_listener.py"}) == [("docs/tour.md", span)]


@pytest.mark.parametrize(
    "span",
    [
        *(
            "gateway/background/result_listener.py",
            "result_listener.py",
            "gateway/",
            "gateway/background/result_listener.py:3",
            "protocol.md",
        ),
        *("my_tools/orders.py", "test_<module>.py", "/v1/realtime", "session.update", "application/json"),
    ],
)
def test_a_file_that_is_there_and_what_is_no_file_are_left_alone(tmp_path: Path, span: str) -> None:
    _document(tmp_path, f"See `{span}`.")
    assert missing_files(tmp_path, {"gateway/background/result_listener.py", "docs/protocol.md"}) == []


@pytest.mark.parametrize("span", ["test_it_sings", "tests/unit/test_jobs.py::test_it_sings", "a.py::test_it_rings"])
def test_a_test_that_is_gone_is_found(tmp_path: Path, span: str) -> None:
    _document(tmp_path, f"`test_it_rings`, `tests/unit/test_jobs.py::test_it_rings`, `{span}`")
    assert missing_tests(tmp_path) == [("docs/tour.md", span)]


def test_a_name_that_its_file_does_not_define_is_found(tmp_path: Path) -> None:
    _document(tmp_path, "`a.py`, `Door.open`, `a.py`,\n`LIMIT`, `a.py`, `Door.shut`, `b.py`, `gone`, and `shut`")
    (tmp_path / "a.py").write_text("LIMIT = 1\nclass Door:\n    async def open(self): ...\n", encoding="utf-8")
    assert missing_names(tmp_path) == [("docs/tour.md", "a.py, Door.shut")]


@pytest.mark.parametrize("link", ["gone.md", "../gone/", "#gone", "tour.md#gone"])
def test_a_broken_link_is_found(tmp_path: Path, link: str) -> None:
    _document(tmp_path, f"# What it's for\n[a](tour.md#what-its-for) [b](../tests/) [c](https://x.y) [d]({link})")
    assert broken_links(tmp_path) == [("docs/tour.md", link)]


@pytest.mark.parametrize("text", ["`make tea`", "```sh\n$ make tea  # hot\n```", "```\nmake PYTHON=x demo tea\n```"])
def test_a_make_target_that_is_gone_is_found(tmp_path: Path, text: str) -> None:
    _document(tmp_path, f"make sure that `make demo` runs: {text}" if text[1] != "`" else text)
    assert missing_targets(tmp_path) == [("docs/tour.md", "tea")]


def test_the_commands_a_reader_types_are_found(tmp_path: Path) -> None:
    _document(tmp_path, "ringback is `ringback up`\n```\n$ ringback jobs show 42\n.venv/bin/ringback demo\n```\n")
    assert [words for _, words in commands(tmp_path)] == ["demo", "jobs show", "up"]
