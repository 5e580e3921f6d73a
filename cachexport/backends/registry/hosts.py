"""What the names of hosts tell."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port of a URL; empty where it has none, or is none.

    The URL is read as urllib3 reads it, which sends the requests: another reader could take
    another part of it for the host.
    """
    try:
        parts = parse_url(url)
    except LocationParseError:
        return "", "", 0
    scheme, host = parts.scheme or "", (parts.host or "").strip("[]").lower()
    return scheme, host, parts.port or PORTS.get(scheme, 0)


def is_loopback(host: str) -> bool:
    """Say whether a host, without a port, is this machine."""
    found = address(host)
    return host == "localhost" if found is None else found.is_loopback


def address(host: str) -> IPv4Address | IPv6Address | None:
    """Give the address that a host is; None for a name."""
    with suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


def domain(host: str) -> str:
    """Give the domain that somebody registered, which `host` is part of.

    What belongs to many, such as `co.uk` or a cloud's domain for its customers, is none. Then,
    and for an address, it is the host itself.
    """
    if address(host) is not None:
        return host
    return _suffixes().privatesuffix(host) or host


@cache
def _suffixes() -> Any:
    # Reading the list takes some 40 ms, and few have a token service elsewhere.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
