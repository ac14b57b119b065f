"""Calls between replicas never ask the environment's proxy for a way; what is fetched from elsewhere still does."""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import proxy_bypass_environment

import pytest

from deployments.process.local_traffic import keep_local_traffic_direct

ROOT = Path(__file__).parents[3]

CALL = """
import os, sys
from concurrent import futures
import grpc
from deployments.process.local_traffic import keep_local_traffic_direct

if sys.argv[1] == "direct":
    os.environ.update(keep_local_traffic_direct(os.environ))
server = grpc.server(futures.ThreadPoolExecutor(1))
port = server.add_insecure_port(sys.argv[2])
server.start()
host = sys.argv[2].rpartition(":")[0]
channel = grpc.insecure_channel(f"{host}:{port}")
try:
    grpc.channel_ready_future(channel).result(timeout=float(sys.argv[3]))
    print("connected")
except grpc.FutureTimeoutError:
    print("no way")
server.stop(None)
"""


def call(way: str, address: str, proxy: str, patience_s: float) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CALL, way, address, str(patience_s)],
        cwd=ROOT,
        env={"http_proxy": proxy, "grpc_proxy": proxy, "https_proxy": proxy, "no_proxy": "elsewhere.example"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def has_visitors(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_grpc_between_replicas_goes_past_the_proxy(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        name = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        assert call("direct", address, name, 20) == "connected"
        assert not has_visitors(proxy)


def test_without_it_grpc_asks_the_proxy_even_for_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        name = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        assert call("as it is", "127.0.0.1:0", name, 2) == "no way"
        assert has_visitors(proxy)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", socket.gethostname(), "ship.example"])
def test_this_machine_and_the_users_own_exceptions_are_reached_directly(host: str) -> None:
    given = {"http_proxy": "http://proxy:3128", "NO_PROXY": "ship.example, .lab"}
    environ = given | keep_local_traffic_direct(given)
    assert proxy_bypass_environment(host, {"no": environ["no_proxy"]})
    assert environ["no_proxy"] == environ["NO_PROXY"]
    assert environ["no_grpc_proxy"].startswith("ship.example,.lab,")


FETCH = """
import os, sys
from deployments.process.local_traffic import keep_local_traffic_direct
from deployments.weights.http_client import TransferSettings, http_client
import httpx

os.environ.update(keep_local_traffic_direct(os.environ))
with http_client(TransferSettings(connect_s=10, read_s=10)) as client:
    try:
        client.get(sys.argv[1])
    except httpx.HTTPError:
        pass
"""


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_weights_are_fetched_through_the_proxy_but_not_from_this_machine(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, socket.create_server(("127.0.0.1", 0)) as mirror:
        ports = [one.getsockname()[1] for one in (proxy, mirror)]
        environ = {variable: f"http://127.0.0.1:{ports[0]}"}
        for url in ("http://weights.example/x", f"http://127.0.0.1:{ports[1]}/x"):
            with subprocess.Popen([sys.executable, "-c", FETCH, url], cwd=ROOT, env=environ) as fetcher:
                asked = proxy if "example" in url else mirror
                asked.settimeout(30)
                connection, _ = asked.accept()
                with connection:
                    first_line = connection.recv(200).partition(b"\r\n")[0].decode()
                assert fetcher.wait(30) == 0
            assert first_line == f"GET {url if asked is proxy else '/x'} HTTP/1.1"
        assert not has_visitors(proxy)


def test_the_internet_is_still_reached_through_the_proxy() -> None:
    variables = keep_local_traffic_direct({"https_proxy": "http://proxy:3128"})
    assert not proxy_bypass_environment("huggingface.co", {"no": variables["no_proxy"]})
    assert "https_proxy" not in variables


def test_a_lone_star_that_excepts_everything_stays_alone() -> None:
    assert set(keep_local_traffic_direct({"no_proxy": "*"})) == {"no_grpc_proxy"}


def test_doing_it_again_changes_nothing() -> None:
    once = keep_local_traffic_direct({"no_proxy": "a"})
    assert keep_local_traffic_direct(once) == once
