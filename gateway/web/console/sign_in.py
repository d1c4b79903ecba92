"""Routes that sign in and out: a form for a token, and a link that works once."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from gateway.api.dependencies import Reader, TheGateway
from gateway.auth.authenticator import HOW_TO_AUTHENTICATE
from gateway.errors import ApiError, NotFound
from gateway.web.console import visitors
from gateway.web.console.pages import Page, page
from gateway.web.console.visitors import PATH, Signed

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)
links = APIRouter(prefix=PATH, include_in_schema=False)
"""Asked by a program with a token, and answered as one."""
elsewhere = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)
"""Answers for every path that no other router has."""


@router.get("/sign-in")
async def sign_in_form(next: str = "") -> Response:  # noqa: A002 - the address's name of it
    """Show the form. A link's code stands in the fragment: the page's script sends it."""
    return page("sign_in", None, after=_inside(next), sentence="")


@router.post("/sign-in")
async def sign_in(request: Request, gateway: TheGateway) -> Response:
    """Exchange a token for a cookie."""
    fields = await visitors.fields_of(request, None)
    after = _inside(fields.get("next", ""))
    try:
        value, seconds = await visitors.sign_in(gateway, fields.get("token", "").strip())
    except ApiError as problem:
        if problem.status not in (401, 403):
            raise
        sentence = str(problem).removesuffix(HOW_TO_AUTHENTICATE).strip()  # which is for programs
        return page("sign_in", None, status=problem.status, after=after, sentence=sentence)
    answer = RedirectResponse(after, 303)
    visitors.set_cookie(request, answer, value, seconds)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, visitor: Signed, gateway: TheGateway) -> Response:
    """End the sign-in."""
    await visitors.fields_of(request, visitor)
    await visitors.sign_out(request, gateway)
    answer = RedirectResponse(f"{PATH}/sign-in", 303)
    visitors.set_cookie(request, answer, "", 0)
    return answer


@links.post("/links")
async def make_link(who: Reader, gateway: TheGateway) -> JSONResponse:
    """Make a link that signs in as the caller, once."""
    return JSONResponse({"path": await visitors.link_for(gateway, who), "seconds": visitors.LINK_SECONDS})


@elsewhere.get("/{path:path}")
async def no_page(path: str, visitor: Signed) -> Response:
    """Answer a path that is no page with a page that says so."""
    raise NotFound("The console has no such page.", param="path")


def _inside(path: str) -> str:
    """Return the path if it is a page of the console, else the first page: no address leads elsewhere."""
    is_ours = (path == PATH or path.startswith((f"{PATH}/", f"{PATH}?"))) and path.isprintable()
    return path if is_ours and "\\" not in path and ".." not in path else PATH
