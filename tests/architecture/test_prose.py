"""Prose names the actor: few indefinite pronouns in docstrings, comments, log lines, help texts and documents.

"The gateway", "the worker" or "the client" says who acts; "nobody" and "whoever" hide it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture.source_tree import PRODUCT, ROOT, modules, parse, write_tree

MOST_IN_A_THOUSAND = 1.0
PRONOUN = re.compile(
    r"\b(?:anybody|anyone|everybody|everyone|nobody|nothing|somebody|someone|whatever|whichever|whoever)\b",
    re.IGNORECASE,
)
WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
NAME = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
"""Code, and names in backticks: `nobody` is also an account."""
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/**/*.md")
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
HELP = frozenset({"help", "description", "epilog"})


class Passage(NamedTuple):
    where: str
    text: str


def of_modules(root: Path) -> Iterator[Passage]:
    """Yield each comment, docstring, log line and help text of the product."""
    for path in modules(root, PRODUCT):
        place = path.relative_to(root)
        yield from (Passage(f"{place}:{line}", text) for line, text in (*_comments(path), *_texts(path)))


def of_documents(root: Path) -> Iterator[Passage]:
    """Yield each line of each document, without code blocks."""
    for path in sorted({path for pattern in DOCUMENTS for path in root.glob(pattern)}):
        text = NAME.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), path.read_text(encoding="utf-8"))
        for number, line in enumerate(text.splitlines(), 1):
            yield Passage(f"{path.relative_to(root)}:{number}", line)


def too_many_pronouns(passages: Iterable[Passage]) -> list[str]:
    """Return each place with a pronoun, if there are too many for the number of words."""
    words, found = 0, []
    for where, text in passages:
        plain = NAME.sub(" ", text)
        words += len(WORD.findall(plain))
        found += [f"{where}: {pronoun[0]}" for pronoun in PRONOUN.finditer(plain)]
    return found if len(found) * 1_000 > MOST_IN_A_THOUSAND * words else []


def _comments(path: Path) -> Iterator[tuple[int, str]]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    yield from ((token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        if isinstance(node, ast.Call):
            yield from ((node.lineno, text) for part in _told(node) for text in _strings(part))


def _told(call: ast.Call) -> Iterator[ast.expr]:
    """Yield the arguments that a user or an operator reads: a log line's message, a help text."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS and call.args:
        yield call.args[0]
    yield from (keyword.value for keyword in call.keywords if keyword.arg in HELP)


def _strings(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_prose_of_the_product_names_the_actor() -> None:
    assert too_many_pronouns(of_modules(ROOT)) == []


def test_the_documents_name_the_actor() -> None:
    assert too_many_pronouns(of_documents(ROOT)) == []


@pytest.mark.parametrize(
    "text",
    [
        '"""Whoever comes."""',
        "x = 1  # whoever comes",
        'x = 1\n"""Whoever comes."""',
        'log.warning("whoever comes: %s", x)',
        'log.error(f"whoever comes: {x}")',
        'option(help="For whoever comes.")',
    ],
)
def test_a_pronoun_in_the_prose_of_a_module_is_found(tmp_path: Path, text: str) -> None:
    write_tree(tmp_path, {"gateway/door.py": f"{text}\n"})
    (found,) = too_many_pronouns(of_modules(tmp_path))
    assert re.fullmatch(r"gateway/door\.py:[12]: [Ww]hoever", found)


@pytest.mark.parametrize("text", ['name = "whoever"', "whoever = 1", "# as `nobody` runs it", "# test_nobody_comes"])
def test_a_name_and_a_value_are_no_prose(tmp_path: Path, text: str) -> None:
    write_tree(tmp_path, {"gateway/door.py": f"{text}\n"})
    assert too_many_pronouns(of_modules(tmp_path)) == []


def test_one_pronoun_in_a_thousand_words_is_left_alone(tmp_path: Path) -> None:
    text = f"Nobody comes.\n\n{'The worker comes. ' * 332}The\n\n```\nnobody\n```\n"
    (tmp_path / "README.md").write_text(text + "\nYes.\n", encoding="utf-8")
    assert too_many_pronouns(of_documents(tmp_path)) == []
    (tmp_path / "README.md").write_text(f"{text}\nNobody.\n", encoding="utf-8")
    assert too_many_pronouns(of_documents(tmp_path)) == ["README.md:1: Nobody", "README.md:9: Nobody"]
