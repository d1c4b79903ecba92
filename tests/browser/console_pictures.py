"""Pictures of the console for the README: a day of calls, one call, and a talk with both voices.

The talk is real: the simulator's model answers a spoken question, which `ringback up` serves. The day's other calls
are copies of the talk's, written into the history at earlier times: the README says that they are example data.
"""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import psycopg
from playwright.sync_api import ViewportSize, expect

from cli.local_stack.stack import agents_folder
from tests.browser.conftest import launched
from tests.browser.gallery_rows import key_with, sign_in
from tests.browser.stack_of_ones_own import MICROPHONE, PATIENCE_MS, Up, opened, write_speech
from tests.integration.statements.test_history import line_on
from tests.local_http import LOCAL

SIZE = ViewportSize(width=1080, height=760)
WITH_PLAYER = ViewportSize(width=1080, height=850)
"""For a talk: both voices, and what plays them, are below its timeline."""
SCHEMES: dict[Literal["light", "dark"], str] = {"light": "", "dark": "-dark"}
COPIES = 160
AN_EARLIER_DAY = """
WITH copies AS (
    SELECT jobs.id AS of_id, gen_random_uuid() AS id, n, n %% 23 = 0 AS failed,
           make_interval(mins => (n * 17 + n * n * 5) %% 1400 + 6) AS earlier
    FROM jobs CROSS JOIN generate_series(1, %(copies)s) AS n
    WHERE jobs.tool = CASE WHEN n %% 3 = 0 THEN 'order_status' ELSE 'weather' END
)
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, deadline_at,
                  state, delivery, attempt, result, error, created_at, started_at, finished_at)
SELECT copies.id, session_id, call_id || '-' || n, epoch, tool, queue, arguments, effect, timeout, max_attempts,
       deadline_at, CASE WHEN failed THEN 'failed' ELSE 'succeeded' END, 'history_only', attempt,
       CASE WHEN failed THEN NULL ELSE result END,
       CASE WHEN failed THEN '{"code": "unavailable", "message": "The carrier did not answer."}'::jsonb END,
       created_at - earlier, started_at - earlier, finished_at - earlier
FROM copies JOIN jobs ON jobs.id = copies.of_id
"""


def recorded_agents(folder: Path) -> Path:
    """Write the agent of the demo with its talks recorded; return the folder of it."""
    agents = folder / "agents"
    agents.mkdir()
    (agents / "demo.toml").write_text("recording = true\n" + (agents_folder() / "demo.toml").read_text())
    return agents


def take(up: Up, folder: Path, pictures: Path) -> None:
    """Talk once, and write `console-jobs.png`, `console-call.png` and `console-talk.png`, and the dark ones."""
    talk = _talk(up, folder)
    (call, *_) = _read(up, f"/v1/jobs?session={talk}&tool=order_status")
    _look(up, pictures, {"call": f"/jobs/{call['id']}", "talk": f"/sessions/{talk}"})
    with closing(psycopg.connect(host=str(up.folder / "postgres"), user="ringback", dbname="postgres")) as history:
        history.execute(AN_EARLIER_DAY, {"copies": COPIES})
        history.commit()
    _look(up, pictures, {"jobs": "/jobs"})


def _look(up: Up, pictures: Path, pages: dict[str, str]) -> None:
    with line_on(up.database) as rows:
        key = key_with(rows, "history", "control", "transcripts", "recordings")
    for scheme, suffix in SCHEMES.items():
        with launched() as browser:
            page = browser.new_page(viewport=SIZE, color_scheme=scheme)
            sign_in(page, up.url, key)
            for name, path in pages.items():
                page.set_viewport_size(WITH_PLAYER if name == "talk" else SIZE)
                page.goto(f"{up.url}/console{path}")
                expect(page.locator("#live")).to_be_visible(timeout=PATIENCE_MS)
                page.screenshot(path=pictures / f"console-{name}{suffix}.png")


def _talk(up: Up, folder: Path) -> str:
    """Ask by voice for the weather, and in writing for an order; return the session's id."""
    question = write_speech(folder / "question.wav", "what is the weather in london", 1, 2)
    microphone = (*MICROPHONE, f"--use-file-for-fake-audio-capture={question}%noloop")
    with launched(*microphone) as browser, opened(browser, up.link) as tab:
        tab.page.get_by_role("button", name="Talk").click()
        tab.wait_for_call("heard")
        tab.ask("Where is my order A-1042?")
        tab.wait_for_call(re.compile("^running"))
        tab.wait_for_call("heard")
        tab.page.get_by_role("button", name="End", exact=True).click()
    (newest, *_) = _read(up, "/v1/sessions")
    return str(newest["id"])


def _read(up: Up, path: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = LOCAL.get(up.url + path, headers={"Authorization": f"Bearer {up.token}"}).json()[
        "data"
    ]
    return answer
