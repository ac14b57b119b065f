"""The WebSocket on which a client waits for a job."""

import asyncio
from dataclasses import dataclass, field

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from deployments.errors import Overloaded, ServingError
from serve_app.faces.face import ModelAccess
from serve_app.faces.vss.answers import answer_of, is_pending
from serve_app.faces.vss.jobs import JOB_TIME_S, kept_of
from serve_app.faces.vss.projects import checked_project, vectors_of

POLL_INTERVAL_S = 0.5
"""Between two messages that a job is pending, as with fastapi-vss."""

MAX_WAITING = 64
"""Clients of one door at once: each asks Redis twice a second."""


@dataclass(slots=True)
class Waiting:
    """Tells each client what becomes of its job, until it has ended."""

    models: ModelAccess
    _clients: set[WebSocket] = field(default_factory=set)

    async def answer(self, websocket: WebSocket) -> None:
        """Sends `{"status": "pending"}` until the job is done or has failed, then that, and closes. A client that
        sends something, or goes away, is not told any more."""
        await websocket.accept()
        self._clients.add(websocket)
        telling = asyncio.create_task(self._tell(websocket))
        # Ray takes in what clients send, without limit, and keeps it until somebody reads it.
        hearing = asyncio.create_task(websocket.receive())
        try:
            await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                await telling
                await websocket.close()
            elif (await hearing)["type"] == "websocket.receive":
                telling.cancel()
                await asyncio.wait({telling})
                await websocket.send_text(_error("nothing is to be sent on this WebSocket"))
                await websocket.close()
        except WebSocketDisconnect:
            pass
        finally:
            telling.cancel()
            hearing.cancel()
            await asyncio.wait({telling, hearing})
            self._clients.discard(websocket)

    async def _tell(self, websocket: WebSocket) -> None:
        named = websocket.path_params
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + JOB_TIME_S
        try:
            if len(self._clients) > MAX_WAITING:
                raise Overloaded(f"{MAX_WAITING} clients wait for jobs already, which is the limit; try again later")
            vectors, project = vectors_of(self.models), checked_project(named["project"])
            kept = await kept_of(vectors, project, named["job"])
            while is_pending(kept) and clock() < ends_at_s:
                await websocket.send_text(answer_of(kept).decode())
                await asyncio.sleep(POLL_INTERVAL_S)
                kept = await kept_of(vectors, project, named["job"])
        except ServingError as error:
            await websocket.send_text(_error(error.message))
            return
        if is_pending(kept):
            await websocket.send_text(_error("Timed out waiting for job"))
            return
        await websocket.send_text(answer_of(kept).decode())


def _error(sentence: str) -> str:
    return orjson.dumps({"status": "error", "message": sentence}).decode()
