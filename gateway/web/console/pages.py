"""Pages of the console: the templates, what they can write, and how an error becomes a page.

Every text is escaped by Jinja2; no template writes one as markup.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.api.error_handlers import AWAY, FAILED, NOT_NOW, UNKNOWN_IF_DONE
from gateway.errors import ApiError
from gateway.storage.database import may_be_written
from gateway.web.console.timeline import clock
from gateway.web.console.visitors import PATH, SignInNeeded, Visitor
from gateway.web.static import ASK_AGAIN, assets_at
from ringback.history.pagination import refusal

log = logging.getLogger(__name__)

STATE_WORDS: Mapping[str, str] = {
    "pending": "waiting",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "timed_out": "timed out",
    "cancelled": "cancelled",
    "dead": "gave up",
    "unknown": "unknown",
}
"""How the console says a job's state."""
DELIVERY_WORDS: Mapping[str, str] = {
    "none": "no result yet",
    "ready": "waits for the talk",
    "sent": "sent",
    "acked": "in the talk",
    "replayed": "in the next epoch",
    "spoken": "being told",
    "heard": "heard",
    "history_only": "in the history",
}
"""How the console says how far a result is; a word that is not here is shown as it is."""
END_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("client_closed_1000", "client_closed_1001", "client_closed_1005"), "the client hung up"),
    **dict.fromkeys(("client_closed", "client_closed_1006", "client_not_there"), "the client's connection broke"),
    "ended_by_operator": "by an operator",
    "not_resumed": "the client did not come back",
    "revoked": "the token was revoked",
    "idle": "silent for too long",
    "too_long": "as long as it may be",
    "by_hand": "a call by hand",
}
"""How the console says why a talk ended (docs/job-states.md); any other reason is shown with spaces."""
PAGES = ("/jobs", "/sessions", "/tools", "/queues", "/workers", "/usage", "/audit")
"""Pages in the bar."""
PATIENCE_SECONDS = 20.0
"""Longest that a visitor waits for a page: a Postgres that hangs answers nothing at all."""
HTMX = json.dumps({"includeIndicatorCSS": False, "morphIgnore": ["data-htmx-powered", "open", "data-zoom", "src"]})
"""htmx adds no style, and a live update closes no part that is open, nor stops a player."""


def page(name: str, visitor: Visitor | None, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """Return the page of a template. `visitor` None: before the sign-in."""
    given = {"here": f"/{name}", "live": "", "may_reload": False, "now": datetime.now(UTC), **shown}
    text = _templates.get_template(f"{name}.html").render(visitor=visitor, htmx=HTMX, assets=assets_at(), **given)
    return HTMLResponse(text, status, {"cache-control": ASK_AGAIN if visitor is None else "no-store"})


class Page(APIRoute):
    """Route of the console: an error of any kind is a page with a sentence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    return await handler(request)
            except SignInNeeded:
                return sign_in_first(request)
            except (ApiError, RequestValidationError, *AWAY) as problem:
                return error_page(problem, _known(request), writes=request.method == "POST")
            except HTTPException:
                raise
            except Exception as problem:
                log.exception("console page failed (%s); the visitor is shown an error page", type(problem).__name__)
                return error_page(problem, _known(request), writes=False)

        return answered


def sign_in_first(request: Request) -> Response:
    """Lead to the sign-in page, and from there back to the page that was asked for."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    there = f"{PATH}/sign-in?{urlencode({'next': here})}" if here != PATH else f"{PATH}/sign-in"
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"hx-redirect": there})
    return RedirectResponse(there, 303)


def _known(request: Request) -> Visitor | None:
    """Return who is signed in; None if the request failed before that was known."""
    return getattr(request.state, "visitor", None)


def error_page(problem: Exception, visitor: Visitor | None, *, writes: bool) -> HTMLResponse:
    """Return the page of an error: its sentence, and never a traceback."""
    if isinstance(problem, ApiError):
        return page("error", visitor, status=problem.status, sentence=str(problem), what=_WHAT.get(problem.status))
    if isinstance(problem, RequestValidationError):
        return page("error", visitor, status=400, sentence=refusal(problem.errors()).message, what=_WHAT[400])
    if isinstance(problem, AWAY):
        log.warning(
            "console page not made: Postgres is away (%s); the visitor is told to retry", type(problem).__name__
        )
        sentence = UNKNOWN_IF_DONE if writes and may_be_written(problem) else NOT_NOW
        return page("error", visitor, status=503, sentence=sentence, what=AWAY_NOW, may_reload=not writes)
    return page("error", visitor, status=500, sentence=FAILED, what=_WHAT[500])


AWAY_NOW = "Postgres does not answer"
_WHAT = {
    400: "That cannot be asked",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    409: "Too late for that",
    500: "The gateway failed",
    503: "Not now",
}


def address(path: str, **parameters: Any) -> str:
    """Return the address of a page of the console; parameters that are empty are left out."""
    given = {name: value for name, value in parameters.items() if value not in (None, "", ())}
    return f"{PATH}{path}?{urlencode(given)}" if given else f"{PATH}{path}"


def length(ms: float | timedelta | None) -> str:
    """Return a length of time with three digits and its unit: `840 ms`, `14.2 s`, `3 min 05 s`, `2 h 10 min`."""
    if ms is None:
        return "–"
    value = ms / timedelta(milliseconds=1) if isinstance(ms, timedelta) else float(ms)
    if value < 999.5:
        return f"{value:.0f} ms" if value >= 10 or value == 0 else f"{value:.1f} ms"
    seconds = value / 1_000
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was, in one unit."""
    if moment is None:
        return "–"
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _clock(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else "–"


def _end_words(reason: str | None) -> str:
    return END_WORDS.get(reason or "", (reason or "").replace("_", " "))


def _precise(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S.%f}"[:-3] if moment else "–"


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _money(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 1 or dollars == 0 else f"${dollars:.4f}"


_templates = Environment(
    loader=PackageLoader("gateway.web.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "length": length,
    "clock": _clock,
    "precise": _precise,
    "ago": ago,
    "end_words": _end_words,
    "pretty": _as_json,
    "compact": json.dumps,
    "position": clock,
    "number": _number,
    "money": _money,
    "path": lambda text: quote(str(text), safe=""),
}
_templates.globals |= {
    "console": PATH,
    "pages": PAGES,
    "address": address,
    "STATES": STATE_WORDS,
    "DELIVERIES": DELIVERY_WORDS,
}
