"""`/docs`: the OpenAPI document for people, in a browser that needs no internet.

Swagger UI's own files come with a package; the page that starts it is ours, as FastAPI's has scripts inside it, which
its Content-Security-Policy would have to allow.
"""

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

import serve_app

PAGE_FOLDER = Path(serve_app.__file__).parent / "docs_page"

HEADERS = {
    # The stylesheet of Swagger UI draws icons from data, and it shows pictures that were answered.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-cache",
}


def swagger_folder() -> Path:
    """The folder with Swagger UI's files. The package that carries them is found and not run."""
    package = find_spec("fastapi_offline")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "static"


def add_viewer(router: APIRouter) -> None:
    """The page itself; its files are mounted at /docs/."""

    @router.get("/docs", summary="This document, for people", response_class=HTMLResponse)
    async def viewer() -> Response:
        return HTMLResponse((PAGE_FOLDER / "index.html").read_text(encoding="utf-8"), headers=HEADERS)
