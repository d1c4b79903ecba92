"""No committed file holds what opens a door: keys, tokens and private keys are found by how they look.

What only looks like one says why it stands there. A value that a test has made up is built from words, with hyphens in
between: nothing that a provider issues looks so.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, committed_files

LOOKS = {
    "a key of OpenAI's": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_]{20,}",
    "a client secret": r"\bek_[A-Za-z0-9_]{20,}",
    "an API key of ours": r"\brb_sk_[A-Za-z0-9_]{20,}",
    "a resume token of ours": r"\brb_resume_[A-Za-z0-9_]{20,}",
    "a JWT": r"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "a private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "a key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})",
    "a token of Slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "a key of Google": r"\bAIza[A-Za-z0-9_-]{35}",
    "a webhook's secret": r"\bwhsec_[A-Za-z0-9+/]{24,}",
    "a password in a URL": r"\b[a-z][a-z+]+://[^\s:/@'\"`<>{}$]+:[A-Za-z0-9+/_]{12,}@",
}
ALLOWED = {
    "tests/examples/test_examples.py": "the secret that Standard Webhooks gives as its example",
    "tests/integration/gateway/test_webhooks.py": "the same",
    "tests/integration/toolbox/tls/site.pem": "of a server on loopback that lives as long as a test",
    "tests/unit/ringback/config/test_logs.py": "made up, in the shapes that logs must not show",
    "tests/unit/ringback/privacy/test_redaction.py": "made up, in the shapes that rows must not show",
}
"""Files that may hold something that looks like one, each with its reason."""


def secrets_in(text: str) -> list[str]:
    """What is found in a text, each as `what it is: how it begins`."""
    found = ((what, match[0]) for what, looks in LOOKS.items() for match in re.finditer(looks, text))
    return [f"{what}: {value[:12]}…" for what, value in found]


def leaks(root: Path, files: Iterable[Path]) -> list[str]:
    """`path: what` for each secret in a file that is not allowed to hold one."""
    places = ((str(path.relative_to(root)), path) for path in files)
    return [
        f"{place}: {what}"
        for place, path in places
        if place not in ALLOWED
        for what in secrets_in(path.read_bytes().decode("utf-8", errors="replace"))
    ]


def test_no_committed_file_holds_a_secret() -> None:
    assert leaks(ROOT, committed_files()) == []


def test_whoever_may_hold_one_exists_and_holds_one() -> None:
    assert [place for place in ALLOWED if not secrets_in((ROOT / place).read_text(encoding="utf-8"))] == []


def _part() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(24)).decode().replace("-", "x").replace("_", "x")


PLANTED = {
    "a key of OpenAI's": lambda: "sk-" + "proj-" + secrets.token_hex(24),
    "a client secret": lambda: "ek_" + secrets.token_hex(16),
    "an API key of ours": lambda: "rb_" + "sk_" + _part(),
    "a resume token of ours": lambda: "rb_" + "resume_" + _part(),
    "a JWT": lambda: ".".join(("ey" + "J" + _part(), "ey" + "J" + _part(), _part())),
    "a private key": lambda: "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a key of AWS": lambda: "AKIA" + secrets.token_hex(8).upper(),
    "a token of GitHub": lambda: "ghp_" + secrets.token_hex(18),
    "a token of Slack": lambda: "xoxb-" + secrets.token_hex(12),
    "a key of Google": lambda: "AIza" + secrets.token_hex(20)[:35],
    "a webhook's secret": lambda: "whsec_" + _part(),
    "a password in a URL": lambda: "postgresql://app:" + secrets.token_hex(12) + "@db/app",
}


@pytest.mark.parametrize("what", LOOKS)
def test_a_planted_one_is_found(tmp_path: Path, what: str) -> None:
    (tmp_path / "settings.env").write_text(f'KEY="{PLANTED[what]()}"\n', encoding="utf-8")
    (found,) = leaks(tmp_path, [tmp_path / "settings.env"])
    assert found.startswith(f"settings.env: {what}: ")
