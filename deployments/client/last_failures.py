"""Why the last replica of each model did not start, for as long as none has started since.

Ray Serve tries again, and has one message for each model: "taken more than 30s to initialize", "Upscaling from 0 to 1
replicas" or "Downscaling" take the place of the error that a client should hear.
"""

from collections.abc import Mapping
from typing import Any

from deployments.definition import DEPLOYMENT_NAME
from deployments.text.error_text import reason_in, tells_error


class LastFailures:
    """Remembers from one report of the controller to the next."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, str]] = {}

    def note(self, applications: Mapping[str, Any]) -> Mapping[str, str]:
        """Application -> reason, as of this report: only those of which no replica has started since."""
        self._known = {
            name: known for name, one in applications.items() if (known := self._of(name, one)) is not None
        }
        return {name: reason for name, (_, reason) in self._known.items()}

    def _of(self, name: str, application: Mapping[str, Any]) -> tuple[Any, str] | None:
        """The configuration that failed, and the reason."""
        deployment = (application.get("deployments") or {}).get(DEPLOYMENT_NAME) or {}
        if any(replica.get("state") == "RUNNING" for replica in deployment.get("replicas") or []):
            return None
        config = application.get("deployed_app_config")
        message = str(deployment.get("message") or "")
        if tells_error(message):
            return config, reason_in(message)
        known = self._known.get(name)
        return known if known is not None and known[0] == config else None
