"""Ray's dashboard as the launcher sees it: GET and PUT of /api/serve/applications/ over real HTTP.
Beside it, at the same address, the HTTP door's list of models, for commands that wait until a model is listed.

Answers in the shape of Ray Serve 2.60. An application runs as soon as it is submitted, unless its name is in
`failing`; one that is not submitted again is gone.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from serve_app.launcher.cluster.inspection import MARK, look
from serve_app.launcher.cluster.node_checks import PACKAGES

MODELS = "/v1/models/"
JOBS = "/api/jobs/"

FAILURE = """The deployment failed to start 3 times in a row. See controller logs for details. Error:
\x1b[36mray::ServeReplica:broken:Model.initialize_and_get_metadata()\x1b[39m (pid=1, ip=127.0.0.1)
  File "/x/replica.py", line 1928, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "/x/weights_file.py", line 34, in read
    with np.load(path) as stored:
         ^^^^^^^^^^^^^
FileNotFoundError: [Errno 2] No such file or directory: 'w.npz'

The above exception was the direct cause of the following exception:

\x1b[36mray::ServeReplica:broken:Model.initialize_and_get_metadata()\x1b[39m (pid=1, ip=127.0.0.1)
  File "/x/replica.py", line 1867, in initialize
    await self._user_callable_wrapper.initialize_callable()
deployments.errors.ModelUnavailable: the weights w.npz cannot be read
"""


@dataclass
class FakeDashboard:
    """The running system behind the dashboard, and what was asked of it."""

    url: str = ""
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    http_options: dict[str, Any] = field(default_factory=lambda: {"host": "0.0.0.0", "port": 8082})
    submitted: list[dict[str, Any]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    retried: set[str] = field(default_factory=set)
    """Those that failed once, and are tried again until they are looked at for the third time."""
    loading: set[str] = field(default_factory=set)
    """Those that are being deployed for ever."""
    location: str = "EveryNode"
    token: str | None = None
    busy_answers: int = 0
    """This many requests are answered 503 first, as a starting system does."""

    asked: threading.Event = field(default_factory=threading.Event)
    """Set as soon as anything is asked."""

    silent: bool = False
    """Whether nothing is answered until this is over."""

    silent_jobs: bool = False
    """Whether the same is true of jobs."""

    _looks: int = 0

    error: str = ""
    """What every request is answered with, as status 500, when it is set."""

    def wait_until_it_may_answer(self) -> None:
        """Notes that somebody asks; returns at once unless the system is silent."""
        self.asked.set()
        while self.silent:
            threading.Event().wait(0.02)

    def status_of(self, path: str, authorization: str | None) -> int:
        """The status of the answer to a request."""
        if path.startswith(MODELS):
            return 200 if path.removeprefix(MODELS) in self.applications else 404
        if path != "/api/serve/applications/":
            return 404
        if self.token is not None and authorization != f"Bearer {self.token}":
            return 401
        if self.busy_answers > 0:
            self.busy_answers -= 1
            return 503
        return 500 if self.error else 200

    def run(self, *configs: dict[str, Any]) -> None:
        """Makes these the running applications."""
        self.applications = {config["name"]: self._report(config) for config in configs}

    def open_door(self) -> None:
        """From now on the HTTP door is there, at this server's own address, and lists what runs."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        self.http_options = {"host": host, "port": int(port)}

    def details(self) -> dict[str, Any]:
        self._looks += 1
        if self.retried and self._looks > 2:
            names, self.retried = self.retried, set()
            self.applications |= {
                name: self._report(self.applications[name]["deployed_app_config"]) for name in names
            }
        return {
            "controller_info": {},
            "proxy_location": self.location,
            "http_options": self.http_options,
            "grpc_options": {"port": 9000},
            "proxies": {"node": {"status": "HEALTHY"}},
            "target_capacity": None,
            "applications": self.applications,
        }

    def take_job(self) -> None:
        """Returns at once, even when all else is silent, unless jobs are, too."""
        if self.silent_jobs:
            self.wait_until_it_may_answer()

    def nodes_seen(self) -> str:
        """What a job says that looks at the nodes: one, on which all is well."""
        found = look([], [], list(PACKAGES)) | {"node": "127.0.0.1", "redis": 0}
        return f"some line of Ray\n{MARK}{json.dumps([found])}\n"

    def _report(self, config: dict[str, Any]) -> dict[str, Any]:
        if config["name"] in self.loading:
            deployment = {"name": "Model", "status": "UPDATING", "message": "", "replicas": []}
            basis = {"name": config["name"], "status": "DEPLOYING", "message": "", "deployed_app_config": config}
            return basis | {"deployments": {"Model": deployment}}
        is_retried = config["name"] in self.retried
        fails = config["name"] in self.failing or is_retried
        failed = "DEPLOYING" if is_retried else "DEPLOY_FAILED"
        replica = {"replica_id": f"{config['name']}-1", "state": "RUNNING"}
        deployment = {
            "name": "Model",
            "status": ("UPDATING" if is_retried else failed) if fails else "HEALTHY",
            "message": FAILURE if fails else "",
            "replicas": [] if fails else [replica],
        }
        return {
            "name": config["name"],
            "route_prefix": config.get("route_prefix"),
            "status": failed if fails else "RUNNING",
            "message": "Failed to update the deployments ['Model']." if fails else "",
            "deployed_app_config": config,
            "deployments": {"Model": deployment},
        }


@contextmanager
def serving(dashboard: FakeDashboard, port: int = 0) -> Iterator[FakeDashboard]:
    """Serves `dashboard` while the context lasts, on a free port unless another is named."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith(JOBS):
                self._send(200, json.dumps({"status": "SUCCEEDED", "logs": dashboard.nodes_seen()}).encode())
                return
            with contextlib.suppress(BrokenPipeError):  # of one who has waited for long enough
                self._answer(lambda: dashboard.details())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            dashboard.take_job()
            self._send(200, json.dumps({"submission_id": "job"}).encode())

        def do_PUT(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))

            def submit() -> dict[str, Any]:
                dashboard.submitted.append(document)
                dashboard.run(*document["applications"])
                return {}

            self._answer(submit)

        def _answer(self, act: Any) -> None:
            dashboard.wait_until_it_may_answer()
            status = dashboard.status_of(self.path, self.headers["Authorization"])
            body = dashboard.error.encode() if status == 500 else b""
            if status == 200 and not self.path.startswith(MODELS):
                body = json.dumps(act()).encode()
            self._send(status, body)

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    dashboard.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield dashboard
    finally:
        dashboard.silent = False
        server.shutdown()
        thread.join()
        server.server_close()
