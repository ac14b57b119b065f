"""Ports: found free, or told with their setting and their holder."""

import os
import socket

import pytest

from serve_app.launcher.processes.ports import Listener, free_ports, port_problems


def test_ports_that_are_found_free_are_not_given_to_a_connection_before_they_are_used() -> None:
    taken = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", taken)):
        found = free_ports(50)
    assert len(set(found)) == 50
    assert taken not in found
    # From here on the kernel takes ports for connections, and Ray Serve for replicas.
    assert max(found) < 30000


def test_a_taken_port_is_told_with_its_setting_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        (problem,) = port_problems([Listener("FATHOM_HTTP_PORT", "127.0.0.1", port)])
    assert f"port {port} (FATHOM_HTTP_PORT) is taken by " in problem
    assert f"(process {os.getpid()})" in problem
    assert problem.endswith("; set FATHOM_HTTP_PORT to a free port")


def test_a_port_taken_on_one_address_is_taken_for_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        assert port_problems([Listener("X", "0.0.0.0", holder.getsockname()[1])])


def test_a_free_port_is_no_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    assert port_problems([Listener("X", "127.0.0.1", port)]) == []


def test_one_port_for_two_settings_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    problems = port_problems([Listener("A", "127.0.0.1", port), Listener("B", "127.0.0.1", port)])
    assert problems == [f"port {port} is wanted by both A and B"]


def test_an_address_of_another_machine_is_refused() -> None:
    (problem,) = port_problems([Listener("X", "203.0.113.1", 8082)])
    assert problem.startswith("port 8082 (X) cannot be used on 203.0.113.1: ")


@pytest.mark.parametrize("host", ["no such machine", "x" * 300, "a..b", "nowhere.invalid"])
def test_a_host_that_is_none_is_refused_in_one_line(host: str) -> None:
    (problem,) = port_problems([Listener("FATHOM_HTTP_PORT", host, 8082)])
    assert problem.startswith("port 8082 (FATHOM_HTTP_PORT) cannot be used on ")
