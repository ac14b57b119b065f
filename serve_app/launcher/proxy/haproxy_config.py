"""What is changed in the configuration that Ray writes for HAProxy, each time before HAProxy reads it.

Ray has settings for few of these things: who may reach which listener, how many connections one client may have,
how long a request's head may take, which headers reach Ray itself, and answers that are not HTML. Runs as a program
of its own, `python haproxy_config.py RULES.json CONFIG.cfg`, and imports only the standard library, so that it takes
about 30 ms.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"

ERRORS = (400, 403, 404, 408, 413, 429, 500, 502, 503, 504)
"""Those of HAProxy's own answers that have a file `<status>.http` in the folder of answers."""

HEAD_TOO_LARGE = "431.json"
"""The answer to a head of more than half of HAProxy's buffer. What fills the buffer is a 400: it is not read."""

_MARK = "# With the rules of fathomnet-serve."
_SECTION = re.compile(r"\S+")
_BIND = re.compile(r"( *bind )(\*?|127\.0\.0\.1):(\d+)$")
_MAXCONN = re.compile(r"^ +maxconn (\d+)$", re.MULTILINE)
_BUFSIZE = re.compile(r"^ +tune\.bufsize (\d+)$", re.MULTILINE)
_USUAL_CONNECTIONS = 4096
_USUAL_BUFFER_BYTES = 16384
_HEADERS = (
    "hdr x-content-type-options nosniff hdr referrer-policy no-referrer "
    "hdr content-security-policy \"frame-ancestors 'none'\""
)
"""As `serve_app.http.security_headers` has them, which cannot be imported here; the other answers come from files."""

_PROXIES_IN_A_ROW = 3

_HTTP2 = ("    tune.h2.fe.max-concurrent-streams 32", f"    tune.h2.fe.initial-window-size {2**20}")
"""By itself HAProxy takes 64 KiB of an upload in each round trip: slow where the client is far away."""

# No backend, but a table of requests under way: a connection of HTTP/2 has several.
_REQUESTS = ("backend requests", "    stick-table type ipv6 size 100k expire 10m store conn_cur")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the edited configuration says."""

    door_host: str
    """Address on which HAProxy listens for clients."""

    door_port: int

    answers: str
    """Folder with the answers of HAProxy itself."""

    connections_per_client: int | None = None
    """Of one address, or of one /64 of IPv6; None for a quarter of all."""

    head_timeout_s: float = 10.0
    """Within which the head of a request must arrive."""

    trusted_proxies: Sequence[str] = ()
    """Networks of proxies in front, which say for whom they ask."""

    https: str = ""
    """The line of the listener for HTTPS, as `https` has it; `https_rules` are lines about requests."""
    https_rules: Sequence[str] = ()


def edited(config: str, rules: Rules) -> str:
    """`config` as Ray wrote it, with the rules in it. A file that has them already stays as it is.

    Raises ValueError where the door's listener is not where Ray puts it, as nothing would be limited then.
    """
    if config.startswith(_MARK):
        return config
    if f"\nfrontend http_frontend\n    bind {LOOPBACK}:{rules.door_port}\n" not in config:
        raise ValueError(
            f"no frontend http_frontend with bind {LOOPBACK}:{rules.door_port} in HAProxy's configuration"
        )
    lines = [line for section in _sections(config) for line in _edited(section, config, rules)]
    return "\n".join([_MARK, *lines, *(_REQUESTS if rules.https else ()), ""])


def _sections(config: str) -> Iterator[list[str]]:
    """The lines of each section; its name stands in the first, all others are indented."""
    section: list[str] = []
    for line in config.splitlines():
        if _SECTION.match(line) and section:
            yield section
            section = []
        section.append(line)
    yield section


def _edited(section: list[str], config: str, rules: Rules) -> Iterator[str]:
    name, *lines = section
    yield name
    lines = [_narrowed(line) for line in lines]
    match name.split():
        case ["global"] if rules.https:
            yield from (*lines, *_HTTP2)
        case ["defaults"]:
            yield from (line for line in lines if not line.lstrip().startswith("errorfile "))
            yield from _defaults(rules)
        case ["frontend", "http_frontend"]:
            for line in lines:
                if line.strip() == f"bind {LOOPBACK}:{rules.door_port}":
                    yield from filter(None, [f"    bind {rules.door_host}:{rules.door_port}", rules.https])
                    yield from _frontend(config, rules)
                else:
                    yield line
        case ["backend", "default_backend"]:
            # The door answers every path once it is there; until then nothing else is.
            status = 404 if "\n    use_backend " in config else 503
            yield f"    http-request return status {status} default-errorfiles"
        case ["backend", backend] if any(line.lstrip().startswith("server ") for line in lines):
            is_door = f"\n    acl is_{backend} path /\n" in config
            yield from (_out_of_use(line) if is_door and line.endswith(" backup") else line for line in lines)
            yield from _backend(_number(_MAXCONN, config, _USUAL_CONNECTIONS) if rules.https else 0)
        case _:
            yield from lines


def _narrowed(line: str) -> str:
    """Ray's listeners for statistics are for every address, and there is no setting for it."""
    found = _BIND.match(line)
    return f"{found[1]}{LOOPBACK}:{found[3]}" if found else line


def _defaults(rules: Rules) -> Iterator[str]:
    yield f"    timeout http-request {round(rules.head_timeout_s * 1000)}ms"
    # By itself 5 s: a door that is late twice gets nobody, and a busy one is. Serve ends one that hangs.
    yield "    timeout check 15s"
    # Browsers open connections in advance: an answer without a request would be read as one to the next request.
    yield "    option http-ignore-probes"
    for status in ERRORS:
        yield f"    errorfile {status} {rules.answers}/{status}.http"


def _frontend(config: str, rules: Rules) -> Iterator[str]:
    all_connections = _number(_MAXCONN, config, _USUAL_CONNECTIONS)
    buffer_bytes = _number(_BUFSIZE, config, _USUAL_BUFFER_BYTES)
    share = rules.connections_per_client or max(1, all_connections // 4)
    # A few connections beyond the share get an answer that says why; such an answer needs a connection, too.
    share_and_told = share + max(1, share // 4)
    # The last quarter is for clients that have few connections, so that no client can block /health/live.
    busy, few = all_connections * 3 // 4, max(1, all_connections // 128)
    # A connection carries one request at a time, unless HTTP/2 was agreed upon in TLS.
    yield "    option disable-h2-upgrade"
    yield "    stick-table type ipv6 size 100k expire 10m store conn_cur"
    yield "    tcp-request connection track-sc0 src,ipmask(32,64)"
    yield f"    tcp-request connection reject if {{ sc0_conn_cur gt {share_and_told} }}"
    yield f"    tcp-request connection reject if {{ fe_conn gt {busy} }} {{ sc0_conn_cur gt {few} }}"
    yield f"    tcp-request connection set-var(sess.too_many) bool(true) if {{ sc0_conn_cur gt {share} }}"
    yield from _request_id()
    yield "    http-request return status 429 default-errorfiles if { var(sess.too_many) -m bool }"
    if rules.https:
        yield "    http-request track-sc1 src,ipmask(32,64) table requests"
        yield f"    http-request return status 429 default-errorfiles if {{ sc1_conn_cur gt {share} }}"
    yield (
        f"    http-request return status 431 content-type application/problem+json "
        f"file {rules.answers}/{HEAD_TOO_LARGE} {_HEADERS} if {{ req.hdrs,length gt {buffer_bytes // 2} }}"
    )
    # Of what has been sent to a door that died: a worker elsewhere may have the job, and models may have changed.
    yield (
        "    http-request disable-l7-retry "
        "unless { method GET HEAD } or { method POST } { path_end /predict /predictor /predictor/ }"
    )
    yield from _dropped_headers()
    # HAProxy tells the system log whole addresses, and in these is a secret: docs/security.md.
    yield "    http-request set-log-level silent if { url_param(api_key) -m found }"
    yield from (*_client_address(rules.trusted_proxies), *rules.https_rules)


def _request_id() -> Iterator[str]:
    """It appears in logs and answers, so that of a client must be plain. An answer without one is HAProxy's own."""
    yield "    acl one_request_id req.fhdr_cnt(x-request-id) eq 1"
    yield "    acl plain_request_id req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._:-]{1,128}$"
    yield "    http-request del-header x-request-id unless one_request_id plain_request_id"
    yield "    http-request set-var(txn.request_id) req.hdr(x-request-id)"
    has_none, id_of_client = "!{ res.hdr(x-request-id) -m found }", "var(txn.request_id)"
    set_id = "    http-after-response set-header x-request-id"
    yield f"{set_id} %[{id_of_client}] if {has_none} {{ {id_of_client} -m found }}"
    yield f"{set_id} %[uuid()] if {has_none}"


def _client_address(trusted: Sequence[str]) -> Iterator[str]:
    """What a client claims of itself is replaced: the door sees the address that HAProxy saw or, where that is a
    trusted proxy, the one that this proxy saw; and so on for a few proxies in a row."""
    if not trusted:
        yield "    http-request del-header x-forwarded-proto"
        yield "    http-request set-header x-forwarded-for %[src]"
        return
    networks = " ".join(trusted)
    yield f"    http-request del-header x-forwarded-proto unless {{ src {networks} }}"
    yield "    http-request set-var(txn.client) src"
    for place in range(1, _PROXIES_IN_A_ROW + 1):
        seen = f"req.hdr_ip(x-forwarded-for,-{place})"
        yield (
            f"    http-request set-var(txn.client) {seen} "
            f"if {{ var(txn.client) -m ip {networks} }} {{ {seen} -m found }}"
        )
    yield "    http-request set-header x-forwarded-for %[var(txn.client)]"


def _dropped_headers() -> Iterator[str]:
    """Drops the headers by which clients could steer Ray Serve, such as how long it waits for them."""
    for header in ("x-request-timeout-seconds", "x-request-disconnect-disabled"):
        yield f"    http-request del-header {header}"
    # One pattern, as each is tried on every header of every request.
    steering = "^(serve[-_]multiplexed[-_]model[-_]id$|x[-_]session[-_]id$|x-serve-router-)"
    yield f"    http-request del-header {steering} -m reg"


def _out_of_use(server: str) -> str:
    """Ray's own proxy would answer where the door has no replica. It holds whole uploads beyond all limits, answers
    404 while it does not know the routes, and lets /health/live wait. It is not needed to wake the door, which
    never sleeps. Without it, HAProxy says at once to try again."""
    return f"{server} weight 0"


def _backend(most_requests: int) -> Iterator[str]:
    """Answers in plain text are Ray's own, such as those of a replica that stops. The door's errors are documents."""
    if most_requests:  # as there are connections; the last quarter, as there, for clients that have few
        yield f"    http-request return status 503 default-errorfiles if {{ be_conn gt {most_requests} }}"
        many = f"{{ be_conn gt {most_requests * 3 // 4} }} {{ sc1_conn_cur gt {max(1, most_requests // 128)} }}"
        yield f"    http-request return status 429 default-errorfiles if {many}"
    yield "    acl is_rays_own res.hdr(content-type) -m beg text/plain"
    for status, shown in ((404, 503), (408, 504), (500, 500), (502, 503), (503, 503), (504, 504)):
        # The status first: it is cheaper to ask for, and most answers have none of these.
        yield f"    http-response return status {shown} default-errorfiles if {{ status {status} }} is_rays_own"


def _number(pattern: re.Pattern[str], config: str, otherwise: int) -> int:
    found = pattern.search(config)
    return int(found[1]) if found else otherwise


def main(rules_file: str, config_file: str) -> None:
    """Edits the file in place."""
    rules = Rules(**json.loads(Path(rules_file).read_text(encoding="utf-8")))
    path = Path(config_file)
    path.write_text(edited(path.read_text(encoding="utf-8"), rules), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
