"""Logins and tokens: where they come from, and what happens when they end in the middle."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from support.services.client import ask
from support.services.exports import (
    MIB,
    auth_config,
    hasten,
    log_in,
    noise,
    pull,
    push,
    push_layers,
)
from support.services.logins import ALICE, Login
from support.services.scripted import Fault, ScriptedRegistry
from support.services.scripted.store import digest_of

from cachexport.errors import Auth, CachexportError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.messages import Request
    from support.services.registry import Registry
    from support.services.tls import Authority
    from support.services.token_server import TokenServer

    from cachexport.content.progress import Event

UPLOAD = r"/blobs/uploads/."
LAYER = noise(20 * MIB)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


def test_a_login_comes_from_a_variable(
    htpasswd_registry: Registry, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(tmp_path, htpasswd_registry.host, Login("alice", "old"))
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", auth_config(htpasswd_registry.host, ALICE))
    push(htpasswd_registry.host, repo)
    assert htpasswd_registry.tags(repo) == ["cache"]


def test_a_variable_with_no_login_is_told_without_it(
    htpasswd_registry: Registry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", '{"auths": "open:sesame"}')
    with pytest.raises(Auth, match="DOCKER_AUTH_CONFIG") as raised:
        push(htpasswd_registry.host, repo)
    assert "sesame" not in str(raised.value)


def when_the_token_is_over(
    registry: Registry, tokens: TokenServer
) -> tuple[Callable[[Event], None], list[str]]:
    """Give somebody who hears of progress, and lets nothing more happen until the token is over."""
    over: list[str] = []
    lock = threading.Lock()

    def wait(event: Event) -> None:
        with lock:
            if event.state != "moved" or over:
                return
            bearer = {"Authorization": f"Bearer {tokens.given[-1]}"}
            while ask("GET", f"{registry.url}/v2/", headers=bearer).status != 401:
                threading.Event().wait(0.02)
            tokens.lifetime = 300
            over.append(event.step)

    return wait, over


@pytest.mark.parametrize("layers", [[b"one", b"two", b"three"], [LAYER, b"small"]])
def test_a_token_that_ends_in_the_middle_is_fetched_anew(
    token_registry: Registry,
    tokens: TokenServer,
    repo: str,
    tmp_path: Path,
    layers: list[bytes],
) -> None:
    log_in(tmp_path, token_registry.host, ALICE)
    tokens.lifetime = 2  # of which nobody tells the client
    wait, over = when_the_token_is_over(token_registry, tokens)
    push_layers(token_registry.host, repo, layers, "parallelism=1", wait)
    assert len(over) == 1
    assert len(tokens.requests) >= 2
    assert all(token_registry.has_blob(digest_of(layer), repo) for layer in layers)


def wants_tokens(scripted: ScriptedRegistry, tokens: TokenServer) -> Fault:
    """Have a registry ask everybody for a token, any; give what it says to one that is over."""
    challenge = {"WWW-Authenticate": f'Bearer realm="{tokens.url}",service="s"'}
    refused = Fault(status=401, headers=challenge)
    scripted.on("*", "", refused, times=None, when=lambda r: "Authorization" not in r.headers)
    return refused


def is_whole(request: Request) -> bool:
    return int(request.headers.get("Content-Length", 0)) == len(LAYER)


def test_a_token_that_ends_between_chunks_is_fetched_anew(
    scripted: ScriptedRegistry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, scripted.host, ALICE)
    refused = wants_tokens(scripted, tokens)
    scripted.on("PUT", UPLOAD, Fault(read=MIB, reset=True), when=is_whole)
    scripted.on("PATCH", UPLOAD, refused, nth=2)
    push_layers(scripted.host, repo, [LAYER], "retries=2")
    ranges = [request.headers["Content-Range"] for request in scripted.asked("PATCH")]
    assert ranges == ["0-8388607", *["8388608-16777215"] * 2, "16777216-20971519"]
    assert scripted.asked("GET", UPLOAD) == []
    assert len(tokens.requests) == 2
    assert scripted.store.repositories[repo].blobs[digest_of(LAYER)] == LAYER


def test_a_token_that_ends_before_a_stream_is_sent_makes_it_begin_anew(
    scripted: ScriptedRegistry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, scripted.host, ALICE)
    refused = wants_tokens(scripted, tokens)
    rule = scripted.on("PUT", UPLOAD, refused, when=is_whole)
    push_layers(scripted.host, repo, [LAYER], "retries=2")
    assert rule.hits == 2
    assert scripted.asked("PATCH") == []
    assert len(tokens.requests) == 2
    assert scripted.store.repositories[repo].blobs[digest_of(LAYER)] == LAYER


def test_a_token_service_that_is_busy_is_asked_again(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, token_registry.host, ALICE)
    tokens.failing = 2
    push(token_registry.host, repo, "retries=3")
    assert pull(token_registry.host, repo, tmp_path / "back")


@pytest.mark.parametrize("retries", [1, 3])
def test_a_token_service_is_asked_as_often_as_told(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path, retries: int
) -> None:
    log_in(tmp_path, token_registry.host, ALICE)
    tokens.failing = 99
    with pytest.raises(CachexportError, match="503"):
        push(token_registry.host, repo, f"retries={retries}")
    assert len(tokens.requests) == retries


@pytest.mark.parametrize("kind", ["htpasswd_registry", "token_registry"])
def test_a_wrong_password_is_told_with_where_it_came_from(
    kind: str,
    request: pytest.FixtureRequest,
    repo: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry: Registry = request.getfixturevalue(kind)
    log_in(tmp_path, registry.host, Login("alice", "s3same"))
    with pytest.raises(Auth, match=r"check the login from /.*config\.json") as raised:
        push(registry.host, repo)
    assert "s3same" not in str(raised.value)
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", auth_config(registry.host, Login("alice", "s3same")))
    with pytest.raises(Auth, match=r"check the login from \$DOCKER_AUTH_CONFIG"):
        push(registry.host, repo)


def test_a_token_service_is_trusted_as_its_registry_is(
    authority: Authority, repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with ScriptedRegistry(authority.issue()) as scripted:
        log_in(tmp_path, scripted.host, ALICE)
        challenge = {"WWW-Authenticate": f'Bearer realm="{scripted.url}/token",service="s"'}

        def is_stranger(request: Request) -> bool:
            return request.headers.get("Authorization") != "Bearer t"

        asked = Fault(status=401, headers=challenge)
        scripted.on("*", "/v2/", asked, when=is_stranger, times=None)
        scripted.on("GET", "/token", Fault(status=200, body=b'{"token": "t"}'), times=None)
        push(scripted.host, repo, "registry.insecure=false")
        assert scripted.store.repositories[repo].tags.keys() == {"cache"}
