"""The pages of one call, of talks and of one talk, on real rows."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

from sqlalchemy import text

from ringback.jobs import outcomes
from tests.integration.console.visitor import Visitor, new_key
from tests.integration.statements.test_history import Line

SCRIPT = "<script>alert(1)</script>"
TALKS = re.compile(r'<tr id="talk-([0-9a-f-]{36})">')
SAID = text(
    "INSERT INTO items (session_id, position, item_id, role, content, epoch) "
    "VALUES (:session, 1, 'i', 'user', "
    "jsonb_build_array(jsonb_build_object('type', 'text', 'text', CAST(:words AS text))), 1)"
)
MOMENT = text(
    "INSERT INTO moments (session_id, epoch, number, at, kind, detail) "
    "VALUES (:session, 1, :number, clock_timestamp(), :kind, :detail)"
)
FAILED = text(
    "UPDATE jobs SET failure = jsonb_build_object('attempt', 1, 'type', 'KeyError', 'at', 'tools.py:3', "
    "'trace', CAST(:trace AS text)) WHERE id = :job"
)


def failed_job(line: Line, session: UUID) -> UUID:
    job = line.ask(session, "weather", {"city": SCRIPT})
    line.finish(job, line.claim(job), outcomes.failed("bad_city", SCRIPT))
    line.connection.execute(FAILED, {"trace": f"Traceback {SCRIPT}", "job": job})
    line.connection.commit()
    return job


def test_a_call_is_shown_with_its_whole_life(line: Line, visitor: Visitor) -> None:
    session = line.open()
    job = line.ask(session, "weather", {"city": "London"})
    line.retry(job, line.claim(job))
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": "grey"}))
    line.deliver(session, job)
    page = visitor.get(f"/console/jobs/{job}")
    for shown in ("London", "grey", "waited for a worker", "busy", "Try later.", f"/console/sessions/{session}"):
        assert shown in page, shown
    assert page.count('data-state="running"') == 2


def test_why_a_tool_failed_is_for_the_operators_tenant(line: Line, visitor: Visitor, database: str) -> None:
    job = failed_job(line, line.open())
    assert "Why attempt 1 failed" in visitor.get(f"/console/jobs/{job}")
    session, theirs = line.foreign_job()
    line.connection.execute(FAILED, {"trace": "Traceback", "job": theirs})
    line.run(SAID.bindparams(session=session, words="a secret"))
    other = Visitor(database)
    other.sign_in(new_key(line, tenant="other")[1])
    assert "Traceback" not in other.get(f"/console/jobs/{theirs}")
    assert "a secret" not in other.get(f"/console/sessions/{session}")


def test_what_was_said_is_for_the_scope_that_is_named_for_it(line: Line, visitor: Visitor, database: str) -> None:
    session = line.open()
    line.run(SAID.bindparams(session=session, words="a secret"))
    page = f"/console/sessions/{session}"
    assert "a secret" in visitor.get(page)
    for scopes, tenant in ((("history", "control"), "default"), (("history", "transcripts"), "other")):
        other = Visitor(database)
        other.sign_in(new_key(line, tenant, scopes)[1])
        answer = other.ask("GET", page)
        assert "a secret" not in answer.text
        assert ("scope <code>transcripts</code>" in answer.text) == (tenant == "default")


def test_what_was_said_is_text_and_no_markup(line: Line, visitor: Visitor) -> None:
    session = line.open(SCRIPT)
    job = failed_job(line, session)
    line.run(SAID.bindparams(session=session, words=SCRIPT))
    line.run(MOMENT.bindparams(session=session, number=1, kind="client_came", detail=SCRIPT))
    for path in (f"/console/jobs/{job}", f"/console/sessions/{session}", "/console/sessions"):
        page = visitor.get(path)
        assert "&lt;script&gt;" in page, path
        assert SCRIPT not in page, path


def test_talks_are_listed_filtered_and_lead_to_each(line: Line, visitor: Visitor) -> None:
    assert "There is no talk yet." in visitor.get("/console/sessions")
    first, second = line.open("demo"), line.open("night")
    line.end(first)

    def found(**asked: str) -> list[UUID]:
        return [UUID(each) for each in TALKS.findall(visitor.get("/console/sessions", **asked))]

    assert found() == [second, first]
    assert found(agent="demo") == [first]
    assert found(user="ada", state="open") == [second]
    assert found(user="eve") == []
    answer = visitor.ask("GET", "/console/sessions?state=sleeping")
    assert answer.status_code == 400
    assert "state must be one or more of open" in answer.text


def test_a_talk_is_drawn_with_its_waits_and_its_cost(line: Line, visitor: Visitor) -> None:
    session = line.open()
    for number, (kind, detail) in enumerate([("epoch_began", "first"), ("user_began", None), ("user_ended", "heard")]):
        line.run(MOMENT.bindparams(session=session, number=number, kind=kind, detail=detail))
    job = line.ask(session, "weather", {"city": "London"})
    line.claim(job)
    page = visitor.get(f"/console/sessions/{session}")
    for shown in ("the caller speaks", "weather runs", "epoch 1", "Cost so far", "$0.00", 'class="now"'):
        assert shown in page, shown
    assert 'width="800%"' in visitor.get(f"/console/sessions/{session}", zoom=8)


def test_what_is_not_there_is_a_page_with_a_sentence(visitor: Visitor) -> None:
    for what, given in (("job", str(uuid4())), ("session", str(uuid4())), ("job", "1"), ("session", SCRIPT[1:8])):
        answer = visitor.ask("GET", f"/console/{what}s/{given}")
        assert answer.status_code == 404
        assert f"There is no {what}" in answer.text
        assert answer.headers["content-type"].startswith("text/html")
