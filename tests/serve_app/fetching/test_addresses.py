"""Addresses as they are written, as they are allowed, and what they may mean."""

from ipaddress import ip_address

import pytest

from serve_app.fetching.addresses import is_private, is_public
from serve_app.fetching.allow_list import AllowedHost, AllowList
from serve_app.fetching.web_address import WebAddress, file_name_of
from serve_app.settings import DoorSettings

NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.1.1",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "2001:0:5ef5:79fd::1",
    "::127.0.0.1",
    "2001:db8::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
]
PUBLIC = ["8.8.8.8", "134.89.2.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_asked(address: str) -> None:
    assert (is_public(ip_address(address)), is_private(ip_address(address))) == (False, False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_on_the_internet(address: str) -> None:
    assert (is_public(ip_address(address)), is_private(ip_address(address))) == (False, True)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    assert (is_public(ip_address(address)), is_private(ip_address(address))) == (True, False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://2130706433/a", "four decimal numbers"),
        ("http://0x7f000001/a", "four decimal numbers"),
        ("http://0177.0.0.1/a", "no address"),
        ("http://127.1/a", "four decimal numbers"),
        ("http://127.0.0.1.0/a", "four decimal numbers"),
        ("http://0x7f.0.0.0x1/a", "four decimal numbers"),
        ("http://me:secret@example.org/a", "user name"),
        ("http://example.org@169.254.169.254/", "user name"),
        ("http://exa%6dple.org/a", "no name of a host"),
        ("http://a b.org/", "no "),
        ("http:///etc/passwd", "no name of a host"),
        ("http://[fe80::1%25eth0]/", "no name of a host"),
        ("http://[::1/", "no address"),
        ("http://example.org:0/", "no port 0"),
        ("http://example.org:65536/", "no port 65536"),
        ("http://example.org:8a/", "no address"),
        ("file:///etc/passwd", "begins with http"),
        ("gopher://example.org/", "begins with http"),
        ("s3://bucket/a.jpg", "begins with http"),
        ("//example.org/a", "begins with http"),
        ("http://example.org/\r\nX-Evil: 1", "no address"),
        ("http://example.org/" + "a" * 5000, "the limit is 4096"),
        ("http://\uff11\uff12\uff17.0.0.1/", "no address"),
    ],
)
def test_an_address_is_read_strictly(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        WebAddress.of(url)


def test_what_is_read_is_what_is_asked() -> None:
    address = WebAddress.of("HTTPS://Example.ORG./a b/ä?x=1#part")
    assert (address.scheme, address.host, address.port, address.authority) == (
        "https",
        "example.org",
        443,
        "example.org",
    )
    assert address.target == b"/a%20b/%C3%A4?x=1"
    assert str(WebAddress.of("../up.jpg", WebAddress.of("http://[::1]:81/a/b/c"))) == "http://[::1]:81/a/up.jpg"
    assert file_name_of("https://example.org/dive/frame%2012.png?size=full") == "frame 12.png"
    assert file_name_of("https://example.org/") is None


@pytest.mark.parametrize(
    ("entry", "covered", "not_covered"),
    [
        (
            "example.org",
            ["http://example.org/a", "https://EXAMPLE.org/", "https://example.org:443/"],
            ["http://www.example.org/", "http://example.org:81/", "https://example.org:80/", "http://example.organ/"],
        ),
        (
            "*.example.org",
            ["http://a.example.org/", "https://a.b.example.org/"],
            ["http://example.org/", "http://badexample.org/", "http://example.org.evil.net/"],
        ),
        ("https://example.org", ["https://example.org/"], ["http://example.org/", "http://example.org:443/"]),
        (
            "http://example.org:8080",
            ["http://example.org:8080/"],
            ["https://example.org:8080/", "http://example.org/"],
        ),
        ("10.0.0.5:8080 private", ["http://10.0.0.5:8080/a"], ["http://10.0.0.6:8080/", "http://10.0.0.5/"]),
        ("[::1] private", ["http://[::1]/"], ["http://[::2]/"]),
        ("bücher.example", ["http://xn--bcher-kva.example/", "http://bücher.example/"], ["http://bucher.example/"]),
    ],
)
def test_an_entry_covers_what_it_says(entry: str, covered: list[str], not_covered: list[str]) -> None:
    allowed = AllowedHost.of(entry)
    assert [url for url in covered if not allowed.covers(WebAddress.of(url))] == []
    assert [url for url in not_covered if allowed.covers(WebAddress.of(url))] == []


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("*", "no name of a host"),
        ("10.0.0.5", "write '10.0.0.5 private'"),
        ("localhost public", "only the word 'private'"),
        ("example.org/images", "is no HOST"),
        ("ftp://example.org", "is no HOST"),
        ("me@example.org", "user name"),
        ("0x7f.1", "four decimal numbers"),
        ("*.10.0.0.5 private", "no "),
        ("", "is no HOST"),
    ],
)
def test_an_entry_that_is_none_is_refused_with_its_reason(entry: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        DoorSettings(fetch_hosts=(entry,))


def test_an_entry_for_private_addresses_wins_over_one_without() -> None:
    allowed = AllowList.of(["*.ship.example", "labels.ship.example private"])
    found = allowed.entry_for(WebAddress.of("http://labels.ship.example/"))
    assert found is not None
    assert found.is_private
    assert allowed.entry_for(WebAddress.of("http://ship.example/")) is None
