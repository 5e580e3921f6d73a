"""Connections to hosts: the parts of their URLs, the proxies in between, and the pools."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import urllib3
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

from cachexport.contract.backend import VIA
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address, IPv6Address

    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.attrs import RegistryConnection

PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port of a URL; empty where it has none, or is none.

    urllib3 reads the URL, as it does for requests: another parser could take another part of it
    for the host.
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
    """Give the registered domain that `host` is part of.

    Public suffixes such as `co.uk`, or a cloud's domain for its customers, are none. Gives the
    host itself if there is no such domain, or if it is an address.
    """
    if address(host) is not None:
        return host
    return _suffixes().privatesuffix(host) or host


@cache
def _suffixes() -> Any:
    # Reading the list takes some 40 ms. Few registries have a token service elsewhere.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: `url` has no login in it. Its text shows none."""

    url: str
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization, which only the proxy gets."""

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read the value of a variable, such as `http://user:password@host:3128`.

        Raises ValueError, whose message has nothing of the text: there may be a secret in it.
        """
        full = text if "://" in text else f"http://{text}"
        try:
            url = parse_url(full)
        except LocationParseError:
            raise ValueError("it is no URL") from None
        if url.scheme not in PORTS or not url.host:
            raise ValueError("only http:// and https:// proxies can be used")
        login = "" if url.auth is None else "Basic " + _encoded(url.auth)
        bare = f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")
        return cls(bare, login)


class Proxies:
    """Finds the proxy for a URL.

    `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` mean what they mean to docker and buildctl; in lower
    case they take precedence. NO_PROXY lists domains, addresses and networks, each perhaps with a
    port, or is `*`. Loopback addresses go through no proxy: there they are another machine.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        """Read the variables. Raises BackendError for a proxy that cannot be used."""
        self._proxies = {scheme: _named(f"{scheme}_proxy", env) for scheme in PORTS}
        listed = _variable("no_proxy", env).split(",")
        self._left_out = [entry.strip().lower() for entry in listed if entry.strip()]

    def find(self, url: str) -> Proxy | None:
        """Give the proxy for a URL; None for the direct way."""
        scheme, host, port = origin(url)
        proxy = self._proxies.get(scheme)
        if proxy is None or is_loopback(host):
            return None
        # Not by the requests library: it changes the process's environment while it looks, and
        # other threads look at the same time.
        return None if any(_is_about(entry, host, port) for entry in self._left_out) else proxy


def _variable(name: str, env: Mapping[str, str]) -> str:
    return (env.get(name) or env.get(name.upper()) or "").strip()


def _named(name: str, env: Mapping[str, str]) -> Proxy | None:
    text = _variable(name, env)
    try:
        return Proxy.parse(text) if text else None
    except ValueError as error:
        message = f"cannot use the proxy that {name.upper()} names: {error}"
        raise BackendError(message, op="read the environment") from None


def _is_about(entry: str, host: str, port: int) -> bool:
    """Say whether an entry of NO_PROXY is for this host."""
    if entry == "*":
        return True
    found = address(host)
    with suppress(ValueError):
        network = ipaddress.ip_network(entry, strict=False)
        return found is not None and found in network
    name, colon, tail = entry.rpartition(":")
    if colon and tail.isdecimal():
        return int(tail) == port and _is_about(name.strip("[]"), host, port)
    domain = entry.removeprefix("*").removeprefix(".")
    return host == domain or (found is None and host.endswith(f".{domain}"))


def _encoded(auth: str) -> str:
    user, _, password = auth.partition(":")
    return b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


class Pools:
    """Sends requests, each through the proxy for its URL. Threads may share it."""

    def __init__(self, connection: RegistryConnection, proxies: Proxies) -> None:
        self._connection = connection
        self._proxies = proxies
        self._guard = threading.Lock()
        self._managers: dict[tuple[Proxy | None, bool], urllib3.PoolManager] = {}
        if connection.insecure:
            # The user asked for it; a warning with each request helps nobody.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def request(
        self, method: str, url: str, headers: dict[str, str], **settings: Any
    ) -> BaseHTTPResponse:
        """Send a request once. Gives the response, whose body the caller reads.

        `settings` go to urllib3's `request`. Raises urllib3's errors.
        """
        settings = {"preload_content": False, "redirect": False, **settings}
        via = {"Via": VIA.get()} if VIA.get() else {}
        sent = {"User-Agent": "cachexport", **via, **headers}
        return self._manager(url).request(method, url, headers=sent, **settings)

    def close(self) -> None:
        """Close all connections; twice is fine."""
        with self._guard:
            for manager in self._managers.values():
                manager.clear()

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy, is_encrypted = self._proxies.find(url), origin(url)[0] == "https"
        with self._guard:
            if (proxy, is_encrypted) not in self._managers:
                context = _tls(self._connection) if is_encrypted else None
                self._managers[proxy, is_encrypted] = _manager(self._connection, proxy, context)
            return self._managers[proxy, is_encrypted]


def _tls(connection: RegistryConnection) -> ssl.SSLContext:
    """Make the context that all connections share: reading the certificates takes long."""
    if connection.insecure:
        return create_urllib3_context(cert_reqs=ssl.CERT_NONE)
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    return context


def _manager(
    connection: RegistryConnection, proxy: Proxy | None, context: ssl.SSLContext | None
) -> urllib3.PoolManager:
    settings: dict[str, Any] = {
        "num_pools": 4,
        "maxsize": connection.parallelism,
        "block": False,
        "retries": False,
        "timeout": urllib3.Timeout(connect=connection.timeout, read=connection.timeout),
        "cert_reqs": "CERT_NONE" if connection.insecure else "CERT_REQUIRED",
        "ssl_context": context,
    }
    if proxy is None:
        return urllib3.PoolManager(**settings)
    login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    # `registry.insecure` is about the registry's certificate, not the proxy's.
    trusted = ssl.create_default_context()
    return urllib3.ProxyManager(
        proxy.url, proxy_headers=login, proxy_ssl_context=trusted, **settings
    )
