"""Which IP addresses may be connected to. Pure.

Beside the registries of private and special networks, some addresses give secrets to whoever asks from a machine in a
cloud; no setting opens those.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

IPAddress = IPv4Address | IPv6Address

_PRIVATE = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "::1",
        "fc00::/7",
    )
)
_TRANSLATED = ip_network("64:ff9b::/96")
"""IPv4 addresses as networks of IPv6 alone reach them (RFC 6052)."""

_METADATA = frozenset(
    ip_address(address)
    for address in (
        "169.254.169.254",
        "169.254.170.2",
        "192.0.0.192",
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
    )
)
"""Metadata services of AWS, its containers, Oracle, Alibaba, Azure, and AWS over IPv6."""


def literal(host: str) -> IPAddress | None:
    """The address that `host` is, in its usual spelling; None for a name, and for any other spelling."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.scope_id else address


def is_public(address: IPAddress) -> bool:
    """Whether it is on the internet, and nothing but a host."""
    address = _meant(address)
    if isinstance(address, IPv6Address) and (address.sixtofour or address.teredo or address.is_site_local):
        return False
    if address in _METADATA or address.is_multicast or address.is_reserved:
        return False
    return address.is_global


def is_private(address: IPAddress) -> bool:
    """Whether it is in a network of its own: a ship's, or this machine. Link-local addresses are not."""
    address = _meant(address)
    return address not in _METADATA and any(address in network for network in _PRIVATE)


def _meant(address: IPAddress) -> IPAddress:
    """The IPv4 address that one of IPv6 stands for."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
