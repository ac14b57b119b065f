"""The application that stands behind HAProxy in these tests: it says what reached it."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from serve_app.http.problems import status_problem


async def say_headers(request: Request) -> Response:
    return JSONResponse([list(pair) for pair in request.headers.items()])


async def say_text(request: Request) -> Response:
    return PlainTextResponse("as Ray says it", int(request.query_params.get("status", "200")))


async def say_client(request: Request) -> Response:
    assert request.client is not None
    return JSONResponse(request.client.host)


async def say_scheme(request: Request) -> Response:
    return JSONResponse(request.url.scheme)


async def say_late(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params["after_s"]))
    return JSONResponse("late")


async def say_not_found(request: Request, error: Exception) -> Response:
    del request, error
    return status_problem(404, "the door's own words")


async def say_healthy(request: Request) -> Response:
    return PlainTextResponse("success")


BEHIND = Starlette(
    routes=[
        Route("/-/healthz", say_healthy),
        Route("/headers", say_headers),
        Route("/text", say_text),
        Route("/client", say_client),
        Route("/scheme", say_scheme),
        Route("/late", say_late),
    ],
    exception_handlers={404: say_not_found},
)
