"""Connections, kept for the next request to the same host."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.util.ssl_ import create_urllib3_context

from cachexport.backends.registry.hosts import origin
from cachexport.contract.backend import VIA

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from cachexport.backends.registry.attrs import Connection
    from cachexport.backends.registry.proxies import Proxies, Proxy


class Pools:
    """Sends requests, each through the proxy that its URL wants. Threads may share it."""

    def __init__(self, connection: Connection, proxies: Proxies) -> None:
        self._connection = connection
        self._proxies = proxies
        self._guard = threading.Lock()
        self._managers: dict[tuple[Proxy | None, bool], urllib3.PoolManager] = {}
        if connection.insecure:
            # Somebody asked for it; saying so at each request helps nobody.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def request(
        self, method: str, url: str, headers: dict[str, str], **settings: Any
    ) -> BaseHTTPResponse:
        """Send a request once, and give the response before its body is read.

        Raises urllib3's errors. The `settings` are those of urllib3.
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


def _tls(connection: Connection) -> ssl.SSLContext:
    """Give what all connections share: else each of them would read all certificates anew."""
    if connection.insecure:
        return create_urllib3_context(cert_reqs=ssl.CERT_NONE)
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_default_certs()
    return context


def _manager(
    connection: Connection, proxy: Proxy | None, context: ssl.SSLContext | None
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
    # What is said of the registry's certificate is not said of the proxy's.
    trusted = ssl.create_default_context()
    return urllib3.ProxyManager(
        proxy.url, proxy_headers=login, proxy_ssl_context=trusted, **settings
    )
