"""Talks to the running system over the REST interface of Ray's dashboard: read it, change one application, wait.

Ray Serve's PUT is declarative (what is not in it goes), so a change of one application resubmits all the others
exactly as they were submitted; that leaves their replicas alone.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from deployments.text.error_text import cause_in
from serve_app.launcher.app_status import Details, application_states, proxy_hosts, submission
from serve_app.launcher.configuration.env_settings import API_KEY, reachable_address
from serve_app.launcher.console import LaunchError
from serve_app.launcher.ray_token import auth_headers, token_help

_APPLICATIONS = "/api/serve/applications/"
_NODES = "/api/v0/nodes"
_JOBS = "/api/jobs/"
_UNFINISHED = ("PENDING", "RUNNING")
_ANSWER_TIMEOUT_S = 10.0
_GLANCE_TIMEOUT_S = 2.0
_SUBMIT_TIMEOUT_S = 120.0
"""The first submission on a cluster starts Ray Serve there."""

POLL_INTERVAL_S = 0.5

_SEEN = (httpx.codes.OK, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)

LISTED_TIMEOUT_S = 15.0
"""The HTTP door looks for new models every few seconds."""

LISTED_POLL_INTERVAL_S = 0.2


class RunningSystem:
    """The system behind the dashboard at `url`. Use as a context manager."""

    def __init__(self, url: str, environ: Mapping[str, str] = os.environ) -> None:
        self.url = url
        self.silence = ""
        """Why `details_or_none` had nothing to tell; '' when it had."""
        self._environ = environ
        # The dashboard is local, or a node of a private cluster: never by way of a proxy from the environment.
        self._http = httpx.Client(base_url=url, timeout=_ANSWER_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def details(self) -> Details:
        """The system's own report. Raises LaunchError when nobody answers or access is refused."""
        return self._details(_ANSWER_TIMEOUT_S)

    def details_or_none(self, timeout_s: float = _GLANCE_TIMEOUT_S) -> Details | None:
        """The report, or None while the system is starting or stopping and cannot give one; asks briefly."""
        try:
            details = self._details(timeout_s)
        except LaunchError as error:
            self.silence = str(error).partition("; ")[0]
            return None
        self.silence = ""
        return details

    def submit(self, document: Mapping[str, Any]) -> None:
        """Makes `document` the goal of the running system. Raises LaunchError with Ray Serve's reason."""
        self._ask("PUT", _APPLICATIONS, _SUBMIT_TIMEOUT_S, json=document)

    def nodes(self) -> list[Details]:
        """What Ray says of the nodes of its cluster, dead ones included. Raises LaunchError."""
        found: list[Details] = self._ask("GET", _NODES, _ANSWER_TIMEOUT_S).json()["data"]["result"]["result"]
        return found

    def run_job(self, entrypoint: str, timeout_s: float) -> str:
        """What a command line says that runs on a node of the cluster. Raises LaunchError when it does not end."""
        job = (
            _JOBS
            + self._ask("POST", _JOBS, _SUBMIT_TIMEOUT_S, json={"entrypoint": entrypoint}).json()["submission_id"]
        )
        ends_at_s = time.monotonic() + timeout_s
        while self._ask("GET", job, _ANSWER_TIMEOUT_S).json()["status"] in _UNFINISHED:
            if time.monotonic() >= ends_at_s:
                self._ask("POST", f"{job}/stop", _ANSWER_TIMEOUT_S)
                raise LaunchError(f"a job that looks at the nodes has not ended within {timeout_s:.0f} s: {job}")
            time.sleep(POLL_INTERVAL_S)
        said: str = self._ask("GET", f"{job}/logs", _ANSWER_TIMEOUT_S).json()["logs"]
        return said

    def change(self, edit: Callable[[list[Details]], list[Details]]) -> None:
        """Submits the running configuration with `edit` applied to its list of applications."""
        document = submission(self.details())
        self.submit({**document, "applications": edit(document["applications"])})

    def wait_until(self, condition: Callable[[Details], bool], timeout_s: float) -> Details:
        """The first report that meets `condition`, or the last one when `timeout_s` is over."""
        ends_at_s = time.monotonic() + timeout_s
        while True:
            # A busy dashboard may miss a beat: only at the end does silence count as a failure.
            is_over = time.monotonic() >= ends_at_s
            details = self.details() if is_over else self.details_or_none()
            if details is not None and (is_over or condition(details)):
                return details
            time.sleep(POLL_INTERVAL_S)

    def _details(self, timeout_s: float) -> Details:
        details: Details = self._ask("GET", _APPLICATIONS, timeout_s).json()
        return details

    def _ask(self, method: str, path: str, timeout_s: float, **body: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, timeout=timeout_s, headers=auth_headers(self._environ), **body)
        except httpx.HTTPError as error:
            reason = f"nothing answers at {self.url} (FATHOM_DASHBOARD_PORT): {str(error) or type(error).__name__}"
            raise LaunchError(f"{reason}; is the system running?") from error
        if answer.status_code in (401, 403):
            raise LaunchError(
                f"{self.url} refuses access: set RAY_AUTH_MODE as it was set when the system was started, "
                f"and show its token: {token_help()}"
            )
        if answer.status_code == 503:
            raise LaunchError(f"the system at {self.url} is still starting, or stopping; try again in a few seconds")
        if answer.is_error:
            cause = cause_in(answer.text)[:500]
            raise LaunchError(f"{self.url} answered {answer.status_code} to {method}: {cause}")
        return answer


def all_settled(wanted: Iterable[str]) -> Callable[[Details], bool]:
    """A condition: each wanted application is healthy or has failed, and no other is left."""
    expected = set(wanted)

    def condition(details: Details) -> bool:
        states = application_states(details)
        return states.keys() == expected and all(one.is_healthy or one.has_failed for one in states.values())

    return condition


def wait_until_listed(
    details: Mapping[str, Any], model: str, timeout_s: float = LISTED_TIMEOUT_S, is_elsewhere: bool = False
) -> bool:
    """Whether the door described `model` within `timeout_s`, or keeps it to itself as it asks for a key that this
    process lacks. details: of the running system, whose `http_options`
    say where the door is; a system without a door lists nothing. is_elsewhere: whether it is on other machines."""
    ends_at_s = time.monotonic() + timeout_s
    with _door(details, is_elsewhere, timeout_s) as door:
        while True:
            try:
                if door.get(f"/v1/models/{model}").status_code in _SEEN:
                    return True
            except httpx.HTTPError:
                pass
            if time.monotonic() >= ends_at_s:
                return False
            time.sleep(LISTED_POLL_INTERVAL_S)


def metrics_text(details: Mapping[str, Any], is_elsewhere: bool = False) -> str:
    """The metrics of the whole system, as its HTTP door tells them; '' when there is none that answers."""
    with _door(details, is_elsewhere, _ANSWER_TIMEOUT_S) as door:
        try:
            answer = door.get("/metrics")
        except httpx.HTTPError:
            return ""
    return answer.text if answer.status_code == httpx.codes.OK else ""


def _door(details: Mapping[str, Any], is_elsewhere: bool, timeout_s: float) -> httpx.Client:
    options = details.get("http_options") or {}
    host = next(iter(proxy_hosts(dict(details))), "") if is_elsewhere else options.get("host")
    address = reachable_address(host or "", options.get("port") or 8000)
    key = os.environ.get(API_KEY)
    headers = {"X-API-Key": key} if key else {}
    return httpx.Client(base_url=f"http://{address}", timeout=timeout_s, trust_env=False, headers=headers)
