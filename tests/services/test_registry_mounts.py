"""Blobs that are there already, in another repository of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.services.exports import MIB, hasten, log_in, noise, push, push_layers
from support.services.logins import ALICE
from support.services.relay import Relay
from support.services.scripted import Fault, ScriptedRegistry
from support.services.scripted.store import digest_of

from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.messages import Request
    from support.services.registry import Registry
    from support.services.token_server import TokenServer

BLOBS = 11
START = r"/blobs/uploads/$"
UPLOAD = r"/blobs/uploads/."
LAYER = noise(2 * MIB)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


def is_mount(request: Request) -> bool:
    return "mount" in request.query


def mounts(scripted: ScriptedRegistry) -> list[Request]:
    return list(filter(is_mount, scripted.asked("POST", START)))


def sent(scripted: ScriptedRegistry) -> int:
    return len(scripted.asked("PUT", UPLOAD))


@pytest.mark.parametrize("name", ["{repo}/other", "{host}/{repo}/other", "no/such;{repo}/other"])
def test_what_another_repository_has_is_not_sent(
    scripted: ScriptedRegistry, repo: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    push(scripted.host, f"{repo}/other")
    before = sent(scripted)
    push(scripted.host, repo, "mount-from=" + name.format(host=scripted.host, repo=repo))
    mine, other = (scripted.store.repositories[name] for name in (repo, f"{repo}/other"))
    assert mine.blobs == other.blobs
    assert mine.tags == other.tags
    assert sent(scripted) == before
    assert f"took over {BLOBS} of {BLOBS} missing blobs from {repo}/other" in caplog.text


def test_only_what_is_missing_is_mounted(scripted: ScriptedRegistry, repo: str) -> None:
    push(scripted.host, f"{repo}/other")
    push(scripted.host, repo)
    blobs = scripted.store.repositories[repo].blobs
    lost = list(blobs)[3]
    del blobs[lost]
    push(scripted.host, repo, f"mount-from={repo}/other")
    assert [request.query for request in mounts(scripted)] == [
        {"mount": lost, "from": f"{repo}/other"}
    ]
    assert lost in blobs


def test_what_is_not_mounted_is_sent_and_no_upload_stays_open(
    scripted: ScriptedRegistry, repo: str
) -> None:
    scripted.distribution.mounts = False
    push(scripted.host, f"{repo}/other")
    before = sent(scripted)
    push(scripted.host, repo, f"mount-from={repo}/other")
    assert len(mounts(scripted)) == len(scripted.asked("DELETE", UPLOAD)) == BLOBS
    assert scripted.store.uploads == {}
    assert sent(scripted) == before + BLOBS


@pytest.mark.parametrize(
    ("status", "asked"), [(400, BLOBS), (404, BLOBS), (405, BLOBS), (401, 1), (403, 1)]
)
def test_what_is_refused_is_sent(
    scripted: ScriptedRegistry, repo: str, status: int, asked: int
) -> None:
    scripted.on("POST", START, Fault(status=status), times=None, when=is_mount)
    push(scripted.host, repo, f"mount-from={repo}/other,parallelism=1")
    assert len(mounts(scripted)) == asked
    assert sent(scripted) == BLOBS


def test_a_registry_that_fails_at_it_is_asked_again(scripted: ScriptedRegistry, repo: str) -> None:
    push(scripted.host, f"{repo}/other")
    before = sent(scripted)
    scripted.on("POST", START, Fault(status=500), times=2, when=is_mount)
    push(scripted.host, repo, f"mount-from={repo}/other")
    assert len(mounts(scripted)) == BLOBS + 2
    assert sent(scripted) == before


@pytest.mark.parametrize("retries", [1, 3])
def test_it_is_asked_as_often_as_told(scripted: ScriptedRegistry, repo: str, retries: int) -> None:
    rule = scripted.on("POST", START, Fault(status=500), times=None, when=is_mount)
    with pytest.raises(CachexportError, match=r"take sha256:\w+ over from"):
        push(scripted.host, repo, f"mount-from={repo}/other,parallelism=1,retries={retries}")
    assert rule.hits == retries


def test_a_login_does_not_follow_an_upload_that_is_given_up(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, scripted.host, ALICE)
    challenge = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    scripted.on("*", "", challenge, times=None, when=lambda r: "Authorization" not in r.headers)
    with ScriptedRegistry() as elsewhere:
        begun = Fault(status=202, headers={"Location": f"{elsewhere.url}/v2/x/blobs/uploads/y"})
        scripted.on("POST", START, begun, times=None, when=is_mount)
        push(scripted.host, repo, f"mount-from={repo}/other")
        assert {request.method for request in elsewhere.requests} == {"DELETE"}
        assert not any("Authorization" in request.headers for request in elsewhere.requests)


def test_the_real_registry_takes_over_without_a_byte(registry: Registry, repo: str) -> None:
    push_layers(registry.host, f"{repo}/other", [LAYER])
    with Relay(registry.host, []) as relay:
        push_layers(relay.host, repo, [LAYER], f"mount-from={repo}/other")
        assert relay.sent < MIB
    assert registry.has_blob(digest_of(LAYER), repo)
    assert registry.manifest(repo, "cache") == registry.manifest(f"{repo}/other", "cache")


def test_a_token_is_asked_for_both_repositories(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, token_registry.host, ALICE)
    push_layers(token_registry.host, f"{repo}/other", [LAYER])
    asked = len(tokens.requests)
    with_other = f"mount-from={repo}/other"
    push_layers(token_registry.host, repo, [LAYER], with_other)
    own = f"repository:{repo}:pull,push"
    scopes = [request.scopes for request in tokens.requests[asked:]]
    assert scopes == [(own,), (own, f"repository:{repo}/other:pull")]
    assert token_registry.has_blob(digest_of(LAYER), repo)


def test_who_may_not_read_the_other_sends_everything(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, token_registry.host, ALICE)
    push_layers(token_registry.host, f"{repo}/other", [LAYER])
    tokens.closed = frozenset({f"{repo}/other"})
    push_layers(token_registry.host, repo, [LAYER], f"mount-from={repo}/other")
    assert token_registry.has_blob(digest_of(LAYER), repo)
    assert token_registry.tags(repo) == ["cache"]


def test_a_repository_that_is_not_there_is_told_once(
    registry: Registry, scripted: ScriptedRegistry, repo: str, caplog: pytest.LogCaptureFixture
) -> None:
    for host in (registry.host, scripted.host):
        caplog.clear()
        push(host, repo, f"mount-from={repo}/no-such")
        told = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert told == [f"mount-from: there is no {host}/{repo}/no-such"]


def test_a_repository_without_these_blobs_is_no_mistake(
    registry: Registry, repo: str, caplog: pytest.LogCaptureFixture
) -> None:
    push_layers(registry.host, f"{repo}/other", [b"something else"])
    push(registry.host, repo, f"mount-from={repo}/other")
    assert "mount-from" not in caplog.text
