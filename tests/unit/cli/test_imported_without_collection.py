from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from cli.main import imported_without_collection

SECONDS = 60
CODE = """
import gc
from cli.main import imported_without_collection
before = sum(generation["collections"] for generation in gc.get_stats())
with imported_without_collection():
    import celery.apps.worker, sqlalchemy.ext.asyncio
after = sum(generation["collections"] for generation in gc.get_stats())
print(after - before, gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_modules_are_imported_without_collection_and_left_out_of_later_ones() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=SECONDS)
    assert ended.stdout.split() == ["0", "True", "True"]


def test_after_an_import_that_fails_garbage_is_collected_again() -> None:
    try:
        with pytest.raises(ImportError), imported_without_collection():
            raise ImportError("as it may be")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
