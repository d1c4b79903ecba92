"""Serves the pages' own files: `/assets/<version>/<path>`, read once when the process starts.

The version is a hash of all files, so a browser keeps each file for ever and still sees a new release at once. Modules
import each other by relative paths, so only a page names the version. While two releases serve one address, a request
may name the other's version: it is answered with this one's file, which the browser then does not keep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from gateway.errors import NotFound

FOLDER = Path(__file__).parent
SHARED = "assets/"
"""The folder of shared files, which is no part of their address."""
MEDIA_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""Kinds of files that are served, by suffix. Templates and Python modules are not."""
FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
"""For pages and unversioned answers: the browser asks whether they have changed."""
MAX_ECHO = 64
"""Characters of an unknown path that the answer repeats."""

router = APIRouter(include_in_schema=False)


class Asset(NamedTuple):
    """One file as it is served; `tag` is its ETag."""

    content: bytes
    media_type: str
    tag: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return each file by its path behind the version, such as `theme.css` or `talk/talk.js`."""
    return dict(_read(FOLDER))


def _read(folder: Path) -> Iterator[tuple[str, Asset]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (media_type := MEDIA_TYPES.get(path.suffix)):
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix().removeprefix(SHARED)
            yield name, Asset(content, media_type, f'"{sha256(content).hexdigest()[:16]}"')


@cache
def version() -> str:
    """Return the hash of all files."""
    return sha256("".join(f"{name} {asset.tag}" for name, asset in assets().items()).encode()).hexdigest()[:12]


def assets_at() -> str:
    """Return where this release's files are, without a slash at the end: what a page writes before their paths."""
    return f"/assets/{version()}"


@cache
def page(path: Path) -> str:
    """Return the HTML of a page without parameters; `{{ assets }}` in it becomes `assets_at()`."""
    return path.read_text(encoding="utf-8").replace("{{ assets }}", assets_at())


@router.api_route("/assets/{named}/{path:path}", methods=["GET", "HEAD"])
async def asset(named: str, path: str, request: Request) -> Response:
    """Return one file; 304 if the browser has it."""
    found = assets().get(path)
    if found is None:
        raise NotFound(f"There is no file {path[:MAX_ECHO]!r}.")
    headers = {"etag": found.tag, "cache-control": FOR_EVER if named == version() else ASK_AGAIN}
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=headers)
