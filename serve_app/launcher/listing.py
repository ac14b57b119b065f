"""Waits until the HTTP door knows a model that was just added, so that the next command may ask it.

The door looks for changes every few seconds. Knows the door's address and one of its routes, nothing else.
"""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from serve_app.launcher.configuration.env_settings import reachable_address

PATIENCE_S = 15.0
LOOK_S = 0.2


def wait_until_listed(details: Mapping[str, Any], model: str, patience_s: float = PATIENCE_S) -> bool:
    """Whether the door described `model` within `patience_s`. details: of the running system, whose `http_options`
    say where the door is; a system without a door lists nothing."""
    options = details.get("http_options") or {}
    address = reachable_address(options.get("host") or "", options.get("port") or 8000)
    ends_at_s = time.monotonic() + patience_s
    with httpx.Client(base_url=f"http://{address}", timeout=patience_s, trust_env=False) as door:
        while True:
            try:
                if door.get(f"/v1/models/{model}").status_code == httpx.codes.OK:
                    return True
            except httpx.HTTPError:
                pass
            if time.monotonic() >= ends_at_s:
                return False
            time.sleep(LOOK_S)
