"""The mutants of `make mutants` still fit the source: each text they take away is there, and so are their tests."""

from __future__ import annotations

import pytest

from tests.architecture.source_tree import ROOT
from tests.mutation.mutant import Change, Mutant
from tests.mutation.mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_mutant_still_fits_the_source(mutant: Mutant) -> None:
    assert (ROOT / mutant.tests).is_file()
    for change in mutant.changes:
        text = (ROOT / change.path).read_text(encoding="utf-8")
        compile(change.applied(text), change.path, "exec")
        assert change.applied(text) != text


def test_no_guard_is_named_twice() -> None:
    assert len({mutant.guard for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    "change", [Change("a.py", "gone", ""), Change("a.py", "x", ""), Change("a.py", "y", "", after="gone")], ids=str
)
def test_a_change_that_does_not_fit_is_told(change: Change) -> None:
    with pytest.raises(ValueError, match=r"a\.py"):
        change.applied("x = x + y")
