"""The vendored files are what their README says they are."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import gateway.web

FOLDER = Path(gateway.web.__file__).parent / "assets/vendor"
ROW = re.compile(r"^\| `([\w.-]+)` \|.*`([\w.]+LICENSE)` \| ([0-9a-f]{64}) \|$", re.MULTILINE)


def test_each_file_has_its_hash_and_its_licence() -> None:
    rows = ROW.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    files = {path.name for path in FOLDER.iterdir() if path.suffix in {".js", ".css"}}
    assert {name for name, _, _ in rows} == files
    for name, licence, digest in rows:
        assert sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name
        assert (FOLDER / licence).is_file()
