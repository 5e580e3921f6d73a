"""Connections, kept for the next request to the same host."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any

import urllib3

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
        self._managers: dict[Proxy | None, urllib3.PoolManager] = {}
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
        sent = {"User-Agent": "cachexport", **headers}
        return self._manager(url).request(method, url, headers=sent, **settings)

    def close(self) -> None:
        """Close all connections; twice is fine."""
        with self._guard:
            for manager in self._managers.values():
                manager.clear()

    def _manager(self, url: str) -> urllib3.PoolManager:
        proxy = self._proxies.find(url)
        with self._guard:
            if proxy not in self._managers:
                self._managers[proxy] = _manager(self._connection, proxy)
            return self._managers[proxy]


def _manager(connection: Connection, proxy: Proxy | None) -> urllib3.PoolManager:
    settings: dict[str, Any] = {
        "num_pools": 4,
        "maxsize": connection.parallelism,
        "block": False,
        "retries": False,
        "timeout": urllib3.Timeout(connect=connection.timeout, read=connection.timeout),
        "cert_reqs": "CERT_NONE" if connection.insecure else "CERT_REQUIRED",
    }
    if proxy is None:
        return urllib3.PoolManager(**settings)
    login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    # What is said of the registry's certificate is not said of the proxy's.
    trusted = ssl.create_default_context()
    return urllib3.ProxyManager(
        proxy.url, proxy_headers=login, proxy_ssl_context=trusted, **settings
    )
