"""Which searches share a statement: to build one takes longer than to run it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from ringback.history.job_search import Argument, JobSearch
from ringback.statements import job_search

SEARCHES = {
    "by an index": JobSearch(tool="weather"),
    "without an index": JobSearch(args=(Argument(("city",), "London"),)),
}


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("with_reruns", [True, False])
def test_an_act_builds_one_statement_for_all_of_its_pages(search: JobSearch, with_reruns: bool) -> None:
    first, second = (job_search.matching("default", search, most, with_reruns=with_reruns) for most in (1_001, 714))
    assert first.text is second.text
    assert (first.parameters[-1], second.parameters[-1]) == (1_001, 714)


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_confirmation_builds_one_statement_however_many_calls_it_is_for(search: JobSearch) -> None:
    few, more = (job_search.among("default", search, [uuid4() for _ in range(number)]) for number in (1, 200))
    assert few.text is more.text


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_pages_of_any_length_share_a_statement(search: JobSearch) -> None:
    short, long = (job_search.page("default", search.model_copy(update={"limit": limit})) for limit in (50, 200))
    assert short.text is long.text
