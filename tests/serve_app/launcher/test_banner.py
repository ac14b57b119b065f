"""What the launcher shows when the system is up: addresses that can be opened, and no password."""

import shlex
from pathlib import Path

import pytest

from serve_app.launcher.app_status import ApplicationState
from serve_app.launcher.banner import banner, http_address, redis_address
from serve_app.launcher.configuration.env_settings import SystemSettings


def test_the_banner_has_a_command_that_names_a_shipped_sample() -> None:
    states = {"a": ApplicationState("a", "RUNNING"), "b": ApplicationState("b", "DEPLOY_FAILED", "no weights")}
    text = banner("http://localhost:8082", "http://127.0.0.1:8265", "localhost:6379", states)
    command = next(line for line in text.splitlines() if "curl" in line)
    sample = Path(command.split("file=@")[1].split(";")[0])
    assert sample.is_file()
    assert shlex.split(command.partition("Try it")[2])[:2] == ["curl", "-F"]
    assert command.endswith("http://localhost:8082/predictor/")
    assert "NOT RUNNING     b: no weights" in text
    assert "a:" not in text


def test_the_http_address_is_one_that_can_be_opened() -> None:
    assert http_address({"http_options": {"host": "0.0.0.0", "port": 8082}}) == "http://localhost:8082"
    assert http_address({}) == "http://localhost:8000"
    assert http_address({"http_options": None}) == "http://localhost:8000"


@pytest.mark.parametrize(
    ("host", "address"),
    [("::1", "[::1]:80"), ("::", "localhost:80"), ("fd00::7", "[fd00::7]:80"), ("ship.example", "ship.example:80")],
)
def test_an_ipv6_address_stands_in_brackets_wherever_it_is_shown(host: str, address: str) -> None:
    assert http_address({"http_options": {"host": host, "port": 80}}) == f"http://{address}"
    given = SystemSettings.from_environment({"FATHOM_DASHBOARD_HOST": host, "FATHOM_DASHBOARD_PORT": "80"})
    # Ray's dashboard listens on 127.0.0.1 when it is told ::1.
    assert given.dashboard_url == f"http://{address}".replace("[::1]", "127.0.0.1")


def test_an_address_may_be_given_with_the_brackets_of_urls() -> None:
    assert SystemSettings.from_environment({"FATHOM_HTTP_HOST": "[::1]"}).http_host == "::1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hush@redis.example:7000/2", "redis.example:7000"),
        ("rediss://:hush@redis.example", "redis.example:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://user:hush@/run/redis.sock?db=1", "/run/redis.sock"),
        ("redis://", "localhost:6379"),
        ("redis://[fd00::7]:7000", "[fd00::7]:7000"),
        ("redis://:hush@[fd00::7]", "[fd00::7]:6379"),
        ("redis+sentinel://:hush@a:26379,b:26380/first/0", "first of a:26379,b:26380"),
        ("rediss+sentinel://a,[fd00::7]/first?sentinel_password=hush", "first of a:26379,[fd00::7]:26379"),
        # Whatever somebody wrote, the system that is up does not end over it, and tells no part of a password.
        ("redis://:hush/hush@redis.example:7000/2", "redis.example:7000"),
        ("redis://:hush?hush@redis.example:7000/2", "as REDIS_URL says"),
        ("redis://:hush#hush@redis.example:7000/2", "redis.example:7000"),
        ("redis://:hu@sh@redis.example", "redis.example:6379"),
        ("redis://redis.example:hush", "as REDIS_URL says"),
        ("redis://[hush", "as REDIS_URL says"),
        ("redis+sentinel://a,b/first?sentinel_password=hu@sh", "as REDIS_URL says"),
        ("hush", "localhost:6379"),
    ],
)
def test_the_address_of_redis_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redis_address(url, 6379) == shown
    assert "hush" not in shown


def test_the_embedded_redis_is_shown_and_none_is_not() -> None:
    assert redis_address("", 6379) == "localhost:6379"
    assert redis_address("", None) == ""
