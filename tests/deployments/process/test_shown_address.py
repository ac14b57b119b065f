"""What is shown of an address holds no secret, whatever its form, and as much else as it can."""

import pytest

from deployments.process.shown_address import is_clear, shown_address, shown_text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host/path/best.pt", "https://host/path/best.pt"),
        ("https://host:8443/best.pt?X-Amz-Signature=s3cret&x=1", "https://host:8443/best.pt?..."),
        ("https://host/best.pt?token=s3cret#sha256=ab12", "https://host/best.pt?...#sha256=ab12"),
        ("https://me:s3cret@host/best.pt", "https://host/best.pt"),
        ("https://s3cret@host/best.pt", "https://host/best.pt"),
        ("HTTPS://host/best.pt?s3cret", "HTTPS://host/best.pt?..."),
        ("hf://owner/repo@main/best.pt", "hf://owner/repo@main/best.pt"),
        ("hf://owner/repo/best.pt?token=s3cret", "hf://owner/repo/best.pt?..."),
        ("doi:10.5281/zenodo.12/best.pt", "doi:10.5281/zenodo.12/best.pt"),
        ("doi:10.5281/zenodo.12/best.pt?token=s3cret", "doi:10.5281/zenodo.12/best.pt?..."),
        ("file:///media/disk/best.pt", "file:///media/disk/best.pt"),
        ("/a/path?that=is/none.pt", "/a/path?that=is/none.pt"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:s3cret@host:6379/0", "redis://host:6379/0"),
        ("redis://me:s3cret@[::1]:6379/0?socket_timeout=3", "redis://[::1]:6379/0?..."),
        ("redis://:s3@cret@host:6379/0", "redis://host:6379/0"),
        ("unix://me:s3cret@/run/redis.sock?db=0&password=s3cret", "unix:///run/redis.sock?..."),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("redis+sentinel://:s3cret@one:26379,two/service/2", "redis+sentinel://one:26379,two/service/2"),
        ("rediss+sentinel://[::1]:7001,[::2]/service?sentinel_password=s3cret", "rediss+sentinel://[::1]:7001,[::2]/service?..."),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert shown_address(address) == shown
    assert is_clear(address) or "://" not in address


@pytest.mark.parametrize(
    "password", ["s3cret/x", "s3cret?x", "s3cret#x", "x/s3cret", "x?s3cret", "x#s3cret", "1/s3cret"]
)
@pytest.mark.parametrize("user", ["", "me"])
@pytest.mark.parametrize(
    "form",
    [
        "redis://{}@host:6379/0",
        "rediss://{}@host",
        "unix://{}@/run/redis.sock",
        "redis+sentinel://{}@one:1,two:2/service",
        "https://{}@host/best.pt",
        "redis://host/0?password={}@x",
    ],
)  # fmt: skip
def test_where_a_password_is_written_wrongly_nothing_of_it_is_shown(form: str, user: str, password: str) -> None:
    address = form.format(f"{user}:{password}")
    assert "s3cret" not in shown_address(address)
    assert "s3cret" not in shown_text(f"Error connecting to '{address}': refused")
    assert not is_clear(address)


@pytest.mark.parametrize(
    "address", ["redis://:s3cret", "redis://me:s3cret/0", "redis://:s3@cret", "redis:s3cret@host"]
)
def test_an_address_without_a_host_where_one_is_due_shows_no_password(address: str) -> None:
    assert "s3cret" not in shown_address(address)


def test_addresses_within_a_text_are_shown_without_their_secrets() -> None:
    text = "cannot fetch 'https://host/a.pt?sig=s3cret', nor (redis://:s3cret@host:1/0): gave up at 10:30; see a/b?c"
    assert (
        shown_text(text)
        == "cannot fetch 'https://host/a.pt?...', nor (redis://host:1/0): gave up at 10:30; see a/b?c"
    )
