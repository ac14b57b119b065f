"""What the commands say of applications and of Ray's words."""

from deployments.text.error_text import cause_in
from serve_app.launcher.app_status import application_states, proxies_are_healthy, table
from tests.serve_app.launcher.fake_dashboard import FAILURE


def test_the_cause_of_a_failure_is_found_in_rays_message() -> None:
    assert cause_in(FAILURE) == "ModelUnavailable: the weights w.npz cannot be read"
    assert cause_in("Waiting for\n  a CPU") == "Waiting for a CPU"
    assert cause_in("") == ""


def test_no_proxy_is_no_healthy_proxy() -> None:
    assert not proxies_are_healthy({"proxies": {}})
    assert not proxies_are_healthy({"proxies": {"a": {"status": "HEALTHY"}, "b": {"status": "STARTING"}}})
    assert proxies_are_healthy({"proxies": {"a": {"status": "HEALTHY"}}})


def test_an_empty_system_has_a_status_line_too() -> None:
    assert table(application_states({}).values()) == "no application is running"
