"""Registries behind a proxy, which alone knows where `registry.test` is."""

from __future__ import annotations

import socket
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from support import caches
from support.services.exports import auth_config, hasten, pull, push
from support.services.logins import ALICE, EVERYTHING, Login
from support.services.proxy import ForwardingProxy
from support.services.scripted import Fault, ScriptedRegistry

from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.services.tls import Authority
    from support.services.token_server import TokenServer

EXPECTED = caches.files(caches.FOLDER / "max")
PROXY_LOGIN = Login("web", "p@ss:word/")
LOGIN_IN_URL = "web:p%40ss%3Aword%2F"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))


@pytest.fixture
def tls(authority: Authority) -> Iterator[ScriptedRegistry]:
    with ScriptedRegistry(authority.issue("registry.test")) as running:
        yield running


def through(monkeypatch: pytest.MonkeyPatch, proxy: ForwardingProxy, login: str = "") -> None:
    url = f"http://{login}@{proxy.host}" if login else proxy.url
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("HTTPS_PROXY", url)


def test_plain_http_is_asked_of_the_proxy(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardingProxy({"registry.test:5000": scripted.host}) as proxy:
        through(monkeypatch, proxy)
        push("registry.test:5000", repo, "registry.insecure=true")
        back = pull("registry.test:5000", repo, tmp_path, "registry.insecure=true")
        # Before it there is the try to speak TLS, which the registry does not understand.
        assert {request.target for request in proxy.asked("CONNECT")} == {"registry.test:5000"}
        targets = [request.target for request in proxy.asked("PUT")]
    assert back == EXPECTED
    assert len(targets) == len(scripted.asked("PUT")) == 12
    assert all(target.startswith(f"http://registry.test:5000/v2/{repo}/") for target in targets)
    assert all(request.headers["Host"] == "registry.test:5000" for request in scripted.requests[1:])


@pytest.mark.usefixtures("trusted")
def test_tls_goes_through_a_tunnel(
    tls: ScriptedRegistry, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardingProxy({"registry.test:443": tls.host}) as proxy:
        through(monkeypatch, proxy)
        push("registry.test", repo)
        assert pull("registry.test", repo, tmp_path) == EXPECTED
        assert {request.method for request in proxy.requests} == {"CONNECT"}


@pytest.mark.usefixtures("trusted")
def test_a_tunnel_leads_to_whom_the_certificate_names(
    authority: Authority, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ScriptedRegistry(authority.issue("other.test")) as other,
        ForwardingProxy({"registry.test:443": other.host}) as proxy,
    ):
        through(monkeypatch, proxy)
        with pytest.raises(CachexportError, match="certificate is one for another name"):
            push("registry.test", repo)


@pytest.mark.usefixtures("trusted")
def test_each_login_goes_where_it_belongs(
    tls: ScriptedRegistry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", auth_config("registry.test", ALICE))
    challenge = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    tls.on("*", "", challenge, times=None, when=lambda r: "Authorization" not in r.headers)
    with ForwardingProxy({"registry.test:443": tls.host}, PROXY_LOGIN.basic) as proxy:
        through(monkeypatch, proxy, LOGIN_IN_URL)
        push("registry.test", repo)
        assert not any("Authorization" in request.headers for request in proxy.requests)
    assert tls.asked("PUT", "/manifests/")
    assert not any("Proxy-Authorization" in request.headers for request in tls.requests)


def test_a_proxy_gets_its_login_for_plain_http_too(
    scripted: ScriptedRegistry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardingProxy({"registry.test:5000": scripted.host}, PROXY_LOGIN.basic) as proxy:
        through(monkeypatch, proxy, LOGIN_IN_URL)
        push("registry.test:5000", repo, "registry.insecure=true")
    assert scripted.asked("PUT", "/manifests/")


@pytest.mark.parametrize("attrs", ["", "registry.insecure=true"])
def test_a_proxy_that_refuses_is_told_without_its_login(
    repo: str, monkeypatch: pytest.MonkeyPatch, attrs: str
) -> None:
    with ForwardingProxy({}, PROXY_LOGIN.basic) as proxy:
        through(monkeypatch, proxy, "web:wrong")
        with pytest.raises(CachexportError, match=r"proxy.*407|407.*proxy") as raised:
            push("registry.test", repo, attrs)
    told = "".join(traceback.format_exception(raised.value))
    assert "wrong" not in told
    assert Login("web", "wrong").basic not in told


@pytest.mark.parametrize("attrs", ["", "registry.insecure=true"])
def test_a_proxy_that_does_not_find_the_registry_is_told(
    repo: str, monkeypatch: pytest.MonkeyPatch, attrs: str
) -> None:
    with ForwardingProxy({}) as proxy:
        through(monkeypatch, proxy)
        with pytest.raises(CachexportError, match="answered 502"):
            push("registry.test", repo, attrs)


def test_a_proxy_that_is_not_there_is_told(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://web:wrong@127.0.0.1:1")
    with pytest.raises(CachexportError, match=r"proxy .* does not answer") as raised:
        push("registry.test", repo)
    assert "wrong" not in "".join(traceback.format_exception(raised.value))


def test_a_proxy_that_cannot_be_used_is_told(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://web:wrong@proxy.test")
    with pytest.raises(CachexportError, match="HTTPS_PROXY") as raised:
        push("registry.test", repo)
    assert "wrong" not in "".join(traceback.format_exception(raised.value))


def test_what_no_proxy_names_is_asked_directly(
    scripted: ScriptedRegistry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = "registry.test", scripted.host.partition(":")[2]
    resolve = socket.getaddrinfo

    def resolving(name: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1" if name == host else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    with ForwardingProxy({}) as proxy:
        through(monkeypatch, proxy)
        monkeypatch.setenv("NO_PROXY", "example.com, .test")
        push(f"{host}:{port}", repo, "registry.insecure=true")
        assert proxy.requests == []
    assert scripted.asked("PUT", "/manifests/")


def test_this_machine_is_asked_directly(
    scripted: ScriptedRegistry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardingProxy({}) as proxy:
        through(monkeypatch, proxy)
        push(scripted.host, repo)
        assert proxy.requests == []
    assert scripted.asked("PUT", "/manifests/")


def test_the_token_service_is_asked_through_the_proxy(
    scripted: ScriptedRegistry, tokens: TokenServer, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens.anonymous = EVERYTHING
    challenge = {"WWW-Authenticate": 'Bearer realm="http://auth.test/token",service="s"'}
    refused = Fault(status=401, headers=challenge)
    scripted.on("*", "", refused, times=None, when=lambda r: "Authorization" not in r.headers)
    hosts = {"registry.test:5000": scripted.host, "auth.test": tokens.server.host}
    with ForwardingProxy(hosts, PROXY_LOGIN.basic) as proxy:
        through(monkeypatch, proxy, LOGIN_IN_URL)
        push("registry.test:5000", repo, "registry.insecure=true")
        asked = [r.target for r in proxy.asked("GET") if r.target.startswith("http://auth.test/")]
    assert len(asked) == len(tokens.requests) == 1
    assert scripted.asked("PUT", "/manifests/")
