"""The proxies that the environment puts between us and others."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from cachexport.backends.registry.hosts import PORTS, address, is_loopback, origin
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: `url` has no login in it. Its text shows none."""

    url: str
    authorization: str = field(default="", repr=False)
    """The value of Proxy-Authorization, which only the proxy gets."""

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read what a variable names, such as `http://user:password@host:3128`.

        Raises ValueError, which tells nothing of the text.
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
    """Knows what is asked through which proxy.

    `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` mean what they mean to docker and buildctl; in lower
    case they count more. NO_PROXY lists domains, addresses and networks, each perhaps with a port,
    or is `*`. This machine itself is never asked through a proxy: to the proxy that is another.
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
        # The function of the requests library for this changes the process's environment while
        # it looks, and threads of ours may look at the same time.
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
    """Say whether an entry of NO_PROXY means this host."""
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
