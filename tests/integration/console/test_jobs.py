"""The jobs page on real rows: search, pages, suggestions, export."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any
from uuid import UUID

import pytest

from ringback.jobs import outcomes
from ringback.statements import job_search
from tests.integration.console.visitor import Visitor, new_key
from tests.integration.statements.test_history import LONG_AGO, Line

ROWS = re.compile(r'<tr id="job-([0-9a-f-]{36})">')
TOTALS = re.compile(r'<span class="state" data-state="(\w+)">[^<]*</span> <b>(\d+)</b>')
OLDER = re.compile(r'href="(/console/jobs\?[^"]*after=[^"]+)"')
SCRIPT = "<script>alert(1)</script>"


def ids(page: str) -> list[UUID]:
    return [UUID(found) for found in ROWS.findall(page)]


def test_an_empty_list_is_a_page_with_a_sentence(visitor: Visitor) -> None:
    page = visitor.get("/console")
    assert "There is no call yet." in page
    assert "No call fits this search." in visitor.get("/console/jobs", q="tool:nix")


def test_each_filter_keeps_the_jobs_that_fit_and_together_they_narrow(line: Line, visitor: Visitor) -> None:
    first, second = line.open("demo"), line.open("night")
    london = line.ask(first, "weather", {"city": "London", "at": {"hour": 3}})
    rome = line.ask(second, "weather", {"city": "Rome"})
    order = line.ask(first, "order_status", {"id": "A-1"})
    line.claim(rome)

    def found(q: str) -> list[UUID]:
        return ids(visitor.get("/console/jobs", q=q))

    assert found("") == [order, rome, london]
    assert found("tool:weather") == [rome, london]
    assert found("queue:slow") == [order]
    assert found("state:running") == [rome]
    assert found("state:running,pending tool:weather") == [rome, london]
    assert found("agent:night") == [rome]
    assert found("user:ada") == [order, rome, london]
    assert found("user:eve") == []
    assert found(f"session:{first}") == [order, london]
    assert found("args.city:London") == [london]
    assert found("args.at.hour:3") == [london]
    assert found("args.city:Rome agent:demo") == []
    assert found(f"{rome}") == [rome]
    assert found("since:1h until:1m") == []


def test_a_busy_users_jobs_are_found_without_their_sessions(
    line: Line, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_search, "OF_SESSIONS", 1)
    asked = [line.ask(line.open()) for _ in range(3)]
    assert ids(visitor.get("/console/jobs", q="user:ada")) == asked[::-1]


def test_a_search_without_an_index_goes_on_where_it_stopped(
    line: Line, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_search, "WINDOW", 10)
    session = line.open()
    (old,) = line.insert_jobs(1, session, arguments={"city": "London"}, created_at=LONG_AGO)
    line.insert_jobs(24, session)
    page, pages = visitor.get("/console/jobs", q="args.city:London"), 1
    while "Look through older calls" in page:
        assert ids(page) == []
        (older,) = OLDER.findall(page)
        page, pages = visitor.get(older.replace("&amp;", "&")), pages + 1
    assert (ids(page), pages) == ([old], 3)


@pytest.mark.parametrize("few", [1, 100])
def test_the_chart_counts_each_of_a_users_jobs_once(
    line: Line, visitor: Visitor, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(job_search, "OF_SESSIONS", few)
    for _ in range(3):
        line.claim(line.ask(line.open(), "weather", {"city": "London"}))
    for q in ("user:ada", "agent:demo", "user:ada args.city:London", "user:ada state:running,failed"):
        assert TOTALS.findall(visitor.get("/console/jobs", q=q)) == [("running", "3")], q


def test_pages_lose_and_repeat_nothing(line: Line, visitor: Visitor) -> None:
    there = line.insert_jobs(120, line.open(), created_at=LONG_AGO)
    page = visitor.get("/console/jobs")
    found = ids(page)
    while older := OLDER.findall(page):
        page = visitor.get(older[0].replace("&amp;", "&"))
        found += ids(page)
    assert found == sorted(there, reverse=True)


def test_a_search_that_is_none_is_answered_with_a_sentence(visitor: Visitor) -> None:
    answer = visitor.ask("GET", "/console/jobs", params={"q": f"{SCRIPT}:x"})
    assert answer.status_code == 400
    assert "There is no filter" in answer.text
    assert SCRIPT not in answer.text


def test_other_tenants_calls_are_not_there(line: Line, visitor: Visitor, database: str) -> None:
    _, theirs = line.foreign_job()
    mine = line.ask(line.open())
    assert ids(visitor.get("/console")) == [mine]
    other = Visitor(database)
    other.sign_in(new_key(line, tenant="other")[1])
    assert ids(other.get("/console")) == [theirs]
    assert ids(other.get("/console/jobs", q="user:ada")) == []


def test_what_was_said_is_text_and_no_markup(line: Line, visitor: Visitor) -> None:
    session = line.open(SCRIPT)
    job = line.ask(session, "weather", {"city": SCRIPT, SCRIPT: 1})
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": SCRIPT}))
    for path in ("/console", "/console/jobs/suggest?q=args", "/console/jobs?q=tool:weather"):
        page = visitor.get(path)
        assert "&lt;script&gt;" in page, path
        assert SCRIPT not in page, path


def test_the_search_is_completed_from_the_newest_jobs(line: Line, visitor: Visitor) -> None:
    line.ask(line.open(), "weather", {"address": {"city": "New York"}})
    page = visitor.get("/console/jobs/suggest", q="state:failed args.add")
    assert 'value="state:failed args.address.city:&#34;New York&#34;"' in page


def test_an_export_holds_all_that_fit_and_runs_no_formula(line: Line, visitor: Visitor) -> None:
    session = line.open("=1+1")
    line.insert_jobs(450, session)
    line.ask(line.open(), "order_status")
    told = visitor.ask("GET", "/console/jobs/export/csv", params={"q": "tool:weather"})
    assert re.fullmatch(r'attachment; filename="jobs-[\d-]+\.csv"', told.headers["content-disposition"])
    rows = list(csv.DictReader(io.StringIO(told.text)))
    assert (len(rows), {row["agent"] for row in rows}) == (450, {"'=1+1"})
    lines = visitor.ask("GET", "/console/jobs/export/jsonl").text.splitlines()
    found: list[dict[str, Any]] = [json.loads(text) for text in lines]
    assert len(found) == 451
    assert (found[0]["tool"], found[0]["state"]) == ("order_status", "pending")


def test_an_export_holds_whole_arguments_and_results(line: Line, visitor: Visitor) -> None:
    asked = {"note": "long " * 200, "city": "Zürich"}
    job = line.ask(line.open(), "weather", asked)
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": "clear"}))
    (told,) = map(json.loads, visitor.ask("GET", "/console/jobs/export/jsonl").text.splitlines())
    assert (told["arguments"], told["result"], told["error"]) == (asked, {"sky": "clear"}, None)
    (row,) = csv.DictReader(io.StringIO(visitor.ask("GET", "/console/jobs/export/csv").text))
    assert (json.loads(row["arguments"]), row["result"], row["error"]) == (asked, '{"sky": "clear"}', "")
