"""The page at `/`: a person speaks and hears, and sees each call of a function beside the talk.

The page is one file of HTML and a few modules. It talks to `/v1/realtime` as every browser client does, with a client
secret (docs/how-to/open-the-page.md).
"""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from gateway.web.static import ASK_AGAIN, page

PAGE = Path(__file__).with_name("talk.html")

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def talk() -> HTMLResponse:
    """Return the page; it is the same for everyone, and holds no secret."""
    return HTMLResponse(page(PAGE), headers={"cache-control": ASK_AGAIN})
