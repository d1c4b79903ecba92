"""Acts of the console on real rows: each by a form of the visitor's own, each in the audit log."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from gateway.web.console import acts
from ringback.jobs import outcomes
from ringback.statements import job_search
from tests.integration.console.visitor import CSRF, Visitor, new_key
from tests.integration.statements.test_history import LONG_AGO, Line
from tests.integration.toolbox.small_gateway import RecordingPublisher

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def fields_of(page: str) -> dict[str, str]:
    """Return what the page's first form sends, but for who sends it."""
    form = page[page.index("<form", page.index('id="act"')) :].partition("</form>")[0]
    return {name: html.unescape(value) for name, value in HIDDEN.findall(form) if name != "csrf"}


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def visitor(line: Line, database: str, publisher: RecordingPublisher) -> Visitor:
    visitor = Visitor(database, publisher=publisher)
    visitor.sign_in()
    return visitor


def state(line: Line, job: UUID) -> str:
    (row,) = line.run(text("SELECT state FROM jobs WHERE id = :job").bindparams(job=job))
    return str(row.state)


def log(line: Line) -> list[Any]:
    return [
        tuple(row) for row in line.run(text("SELECT act, subject, credential, rows, reason FROM audit ORDER BY id"))
    ]


def finished(line: Line, session: UUID, tool: str = "weather") -> UUID:
    job = line.ask(session, tool, {"city": "London"})
    line.finish(job, line.claim(job), outcomes.succeeded(1))
    return job


def test_one_call_is_cancelled(line: Line, visitor: Visitor, publisher: RecordingPublisher) -> None:
    session = line.open()
    job = line.ask(session)
    answer = visitor.post(f"/console/jobs/{job}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/jobs/{job}")
    assert (state(line, job), publisher.rung) == ("cancelled", [("gw", session)])
    assert log(line) == [("job.cancel", "ada", "token:ada", 1, None)]
    again = visitor.post(f"/console/jobs/{job}/cancel")
    assert again.status_code == 409
    assert "The call is over: cancelled." in again.text


def test_one_call_is_run_again_and_shown(line: Line, visitor: Visitor, publisher: RecordingPublisher) -> None:
    job = finished(line, line.open())
    answer = visitor.post(f"/console/jobs/{job}/retry", reason="the API was down")
    ((rerun, _),) = publisher.published
    assert answer.headers["location"] == f"/console/jobs/{rerun}"
    assert "no conversation hears of it" in visitor.get(f"/console/jobs/{rerun}")
    assert log(line) == [("job.retry", "ada", "token:ada", 1, "the API was down")]


def test_a_call_that_goes_on_is_not_run_again(line: Line, visitor: Visitor) -> None:
    answer = visitor.post(f"/console/jobs/{line.ask(line.open())}/retry")
    assert answer.status_code == 409
    assert log(line) == []


def test_all_that_match_are_cancelled_after_their_number_is_confirmed(line: Line, visitor: Visitor) -> None:
    session = line.open()
    there = [line.ask(session, "weather", {"city": "London"}) for _ in range(3)]
    other = [line.ask(session, "weather", {"city": "Rome"}), finished(line, session)]
    asked = visitor.post("/console/jobs/act/cancel", q="args.city:London")
    assert "Cancel 3 calls?" in asked.text
    assert {state(line, job) for job in there} == {"pending"}
    late = line.ask(session, "weather", {"city": "London"})
    done = visitor.post("/console/jobs/act/cancel", **fields_of(asked.text))
    assert "3 of 3 calls cancelled" in done.text
    assert {state(line, job) for job in there} == {"cancelled"}
    assert [state(line, job) for job in (*other, late)] == ["pending", "succeeded", "pending"]
    assert log(line) == [("job.cancel", "ada", "token:ada", 3, None)]


def test_all_that_match_are_run_again(line: Line, visitor: Visitor, publisher: RecordingPublisher) -> None:
    session = line.open()
    jobs = [finished(line, session) for _ in range(2)]
    line.ask(session)
    asked = visitor.post("/console/jobs/act/retry", q="tool:weather")
    assert "Run 2 calls again?" in asked.text
    done = visitor.post("/console/jobs/act/retry", **fields_of(asked.text))
    assert "2 of 2 calls run again" in done.text
    assert (len(publisher.published), {state(line, job) for job in jobs}) == (2, {"succeeded"})


def test_an_act_on_a_search_without_an_index_looks_on_and_tells_how_far_it_is(
    line: Line, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_search, "WINDOW_OF_INDEX", 10)
    monkeypatch.setattr(acts, "LOOKS", 2)
    session = line.open()
    (old,) = line.insert_jobs(1, session, arguments={"city": "London"}, created_at=LONG_AGO)
    line.insert_jobs(24, session)
    near = line.ask(session, "weather", {"city": "London"})
    first = visitor.post("/console/jobs/act/cancel", q="args.city:London").text
    assert 'hx-trigger="load"' in first
    assert "1 call found. The newest 10 calls were looked through." in first
    second = visitor.post("/console/jobs/act/cancel", **fields_of(first)).text
    assert "Cancel 1 call?" in second
    assert "The newest 20 calls were looked through." in second
    older = visitor.post("/console/jobs/act/cancel", **{**fields_of(second), "act": "", "look": "on"}).text
    assert "Cancel 2 calls?" in older
    assert "were looked through" not in older
    assert (state(line, near), state(line, old)) == ("pending", "pending")
    assert "2 of 2 calls cancelled" in visitor.post("/console/jobs/act/cancel", **fields_of(older)).text
    assert (state(line, near), state(line, old)) == ("cancelled", "cancelled")


@pytest.mark.parametrize("times", ["since:15m", "since:15m until:5m", "until:5m"])
def test_how_long_ago_is_counted_from_when_the_act_was_asked_for(line: Line, visitor: Visitor, times: str) -> None:
    """A page that was open for an hour acts on the calls that it has named, and on no later one."""
    asked_at = datetime.now(UTC) - timedelta(hours=1)
    session = line.open()
    (there,) = line.insert_jobs(1, session, created_at=asked_at - timedelta(minutes=10))
    (late,) = line.insert_jobs(1, session, created_at=asked_at + timedelta(minutes=50))
    form = {"q": times, "until": asked_at.isoformat(), "look": "on"}
    asked = visitor.post("/console/jobs/act/cancel", **form).text
    assert "Cancel 1 call?" in asked
    assert "1 of 1 calls cancelled" in visitor.post("/console/jobs/act/cancel", **fields_of(asked)).text
    assert [state(line, there), state(line, late)] == ["cancelled", "pending"]


def test_a_look_can_be_stopped_and_what_it_found_acted_on(
    line: Line, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_search, "WINDOW_OF_INDEX", 10)
    session = line.open()
    line.insert_jobs(24, session)
    line.ask(session, "weather", {"city": "London"})
    first = visitor.post("/console/jobs/act/cancel", q="args.city:London").text
    stopped = visitor.post("/console/jobs/act/cancel", **{**fields_of(first), "look": ""}).text
    assert "Cancel 1 call?" in stopped
    assert "1 of 1 calls cancelled" in visitor.post("/console/jobs/act/cancel", **fields_of(stopped)).text


def test_a_form_with_calls_that_do_not_match_acts_on_none_of_them(line: Line, visitor: Visitor) -> None:
    session = line.open()
    london, rome = (line.ask(session, "weather", {"city": city}) for city in ("London", "Rome"))
    asked = fields_of(visitor.post("/console/jobs/act/cancel", q="args.city:London user:ada").text)
    done = visitor.post("/console/jobs/act/cancel", **{**asked, "ids": f"{london} {rome}"}).text
    assert "1 of 2 calls cancelled" in done
    assert (state(line, london), state(line, rome)) == ("cancelled", "pending")
    for broken in ({"ids": "x"}, {"ids": " ".join([str(rome)] * 1_001)}, {"older": "x"}, {"until": "x"}):
        assert visitor.post("/console/jobs/act/cancel", **{**asked, **broken}).status_code == 400, broken


def test_without_a_match_there_is_a_sentence(visitor: Visitor) -> None:
    assert "Each call that matches is over." in visitor.post("/console/jobs/act/cancel", q="tool:nix").text
    assert visitor.post("/console/jobs/act/cancel", q="nix").status_code == 400


def test_acting_needs_the_scope_and_a_form_of_ones_own(line: Line, visitor: Visitor, database: str) -> None:
    job = line.ask(line.open())
    for path in (f"/console/jobs/{job}/cancel", "/console/jobs/act/cancel"):
        assert visitor.ask("POST", path, data={"csrf": "guessed", "q": ""}).status_code == 403
    reader = Visitor(database)
    reader.sign_in(new_key(line, scopes=("history",))[1])
    page = reader.get(f"/console/jobs/{job}")
    assert "/cancel" not in page
    (csrf, *_) = CSRF.findall(page)
    refused = reader.ask("POST", f"/console/jobs/{job}/cancel", data={"csrf": csrf})
    assert (refused.status_code, "needs the scope &#39;control&#39;" in refused.text) == (403, True)
    assert (state(line, job), log(line)) == ("pending", [])


def test_another_tenants_call_is_not_there(line: Line, visitor: Visitor) -> None:
    _, theirs = line.foreign_job()
    assert visitor.post(f"/console/jobs/{theirs}/cancel").status_code == 404
    assert "Each call that matches is over." in visitor.post("/console/jobs/act/cancel", q="tool:weather").text
    assert state(line, theirs) == "pending"
