"""The plain page at / and its files."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import Response

router = APIRouter(include_in_schema=False)

MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


def _read(name: str) -> Response:
    content = (files("api") / "page" / name).read_bytes()
    media_type = MEDIA_TYPES[name.rpartition(".")[2]]
    headers = {"Cache-Control": "no-cache"}
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=headers)


NAMES = ("index.html", "page.css", "page.js", "stream.js", "texts.js")
_FILES = {name: _read(name) for name in NAMES}


@router.get("/")
async def index() -> Response:
    """The page; its script reads `?lang=`."""
    return _FILES["index.html"]


@router.get("/favicon.ico")
async def icon() -> Response:
    """None: browsers ask for it all the same."""
    return Response(status_code=204)


@router.get("/page/page.css")
async def style() -> Response:
    """Its style sheet."""
    return _FILES["page.css"]


@router.get("/page/page.js")
async def script() -> Response:
    """Its script."""
    return _FILES["page.js"]


@router.get("/page/stream.js")
async def stream() -> Response:
    """How it listens."""
    return _FILES["stream.js"]


@router.get("/page/texts.js")
async def texts() -> Response:
    """Its texts."""
    return _FILES["texts.js"]
