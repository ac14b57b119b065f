"""What is found out before anything is sent or written: is somebody there, and can the model ever answer?"""

from __future__ import annotations

import contextlib

from fathom_client.async_client import AsyncClient
from fathom_client.errors import FathomError, ModelNotFound, Problem


async def first_look(client: AsyncClient, name: str) -> None:
    """Raises what a person has to put right: ServerNotReachable after one attempt, ModelNotFound, FathomError for a
    model that could not be built. A server that is busy or starting is no reason."""
    with contextlib.suppress(Problem):
        await client.ready()
    try:
        model = await client.model(name)
    except ModelNotFound:
        raise
    except Problem:
        return  # busy, or the key is for predicting only
    if model.state == "failed":
        raise FathomError(f"{name} could not be built: {model.reason}")
