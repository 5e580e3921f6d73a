"""Registries as sources and targets: real ones, and one that does what a test tells it."""

from __future__ import annotations

import base64
import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from support import caches
from support.clock import wait_for_nothing
from support.services.logins import ALICE, READER, Login
from support.services.scripted.faults import Fault

from cachexport import Digest, copy_cache, load_cache
from cachexport.errors import (
    AlreadyExists,
    Auth,
    BackendError,
    CachexportError,
    Integrity,
    NotFound,
    RegistryError,
    TransferError,
)
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry
    from support.services.scripted import ScriptedRegistry
    from support.services.tls import Authority
    from support.services.token_server import TokenServer

FORMS = {
    "max": "image-manifest=true",
    "max-oci-index": "image-manifest=false",
    "max-docker-list": "oci-mediatypes=false",
}
MAX = f"type=local,src={caches.FOLDER / 'max'}"
BLOB = r"/blobs/"
UPLOAD = r"/blobs/uploads/."


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wait for nothing between tries, and have a home for the logins that a test makes."""
    wait_for_nothing()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def push(host: str, repo: str, attrs: str = "", source: str = MAX) -> dict[str, str]:
    spec = f"type=registry,ref={host}/{repo}:cache" + (attrs and f",{attrs}")
    [answer] = copy_cache([source], [spec])
    return answer.response


def pull(host: str, repo: str, folder: Path, attrs: str = "") -> dict[str, bytes]:
    spec = f"type=registry,ref={host}/{repo}:cache" + (attrs and f",{attrs}")
    copy_cache([spec], [f"type=local,dest={folder}"])
    return caches.files(folder)


def expected(name: str) -> dict[str, bytes]:
    return caches.files(caches.FOLDER / name)


def log_in(tmp_path: Path, host: str, login: Login, *, identity: bool = False) -> None:
    pair = base64.b64encode(f"{login.name}:{'' if identity else login.password}".encode()).decode()
    entry = {"auth": pair} | ({"identitytoken": login.identity_token} if identity else {})
    config = tmp_path / "home" / ".docker" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"auths": {host: entry}}))


@pytest.mark.parametrize("name", caches.LAYOUTS)
def test_there_and_back_changes_no_byte(
    registry: Registry, repo: str, tmp_path: Path, name: str
) -> None:
    push(registry.host, repo, source=f"type=local,src={caches.FOLDER / name}")
    assert pull(registry.host, repo, tmp_path) == expected(name)


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_stored_as_buildkit_writes_it(
    registry: Registry, repo: str, name: str
) -> None:
    response = push(registry.host, repo, FORMS[name])
    stored = registry.manifest(repo, "cache")
    assert json.loads(response["cache.manifest"])["digest"] == stored.digest
    index = json.loads(expected(name)["index.json"])
    assert stored.digest == index["manifests"][0]["digest"]


def test_a_digest_is_a_source_and_no_target(registry: Registry, repo: str) -> None:
    response = push(registry.host, repo)
    digest = json.loads(response["cache.manifest"])["digest"]
    [cache] = load_cache(f"{registry.host}/{repo}@{digest}")
    assert cache.wrapped.descriptor.digest == digest
    with pytest.raises(CachexportError, match="name a tag"):
        copy_cache([MAX], [f"{registry.host}/{repo}@{digest}"])


def test_a_cache_goes_from_registry_to_registry(
    registry: Registry, htpasswd_registry: Registry, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, htpasswd_registry.host, ALICE)
    push(registry.host, repo)
    push(htpasswd_registry.host, repo, source=f"{registry.host}/{repo}:cache")
    assert pull(htpasswd_registry.host, repo, tmp_path / "back") == expected("max")


def test_what_is_not_there_is_no_cache(registry: Registry, repo: str) -> None:
    with pytest.raises(NotFound) as raised:
        load_cache(f"{registry.host}/{repo}:cache")
    assert raised.value.exit_code == 66


def test_what_is_there_is_not_sent_again(scripted: ScriptedRegistry, repo: str) -> None:
    push(scripted.host, repo)
    sent = len(scripted.asked("PUT", UPLOAD))
    assert sent == 11
    push(scripted.host, repo)
    assert len(scripted.asked("PUT", UPLOAD)) == sent


def test_blobs_that_a_registry_lost_are_sent_again(scripted: ScriptedRegistry, repo: str) -> None:
    push(scripted.host, repo)
    blobs = scripted.store.repositories[repo].blobs
    whole = dict(blobs)
    for digest in list(blobs)[::2]:
        del blobs[digest]
    push(scripted.host, repo)
    assert scripted.store.repositories[repo].blobs == whole


def test_an_image_is_not_replaced_unless_forced(registry: Registry, repo: str) -> None:
    push(registry.host, repo)
    stored = registry.manifest(repo, "cache")
    manifest = stored.json() | {"config": stored.json()["layers"][0]}
    from support.services.client import ask

    raw = json.dumps(manifest).encode()
    headers = {"Content-Type": mediatype.OCI_MANIFEST}
    url = f"{registry.url}/v2/{repo}/manifests/cache"
    assert ask("PUT", url, body=raw, headers=headers).status == 201
    with pytest.raises(AlreadyExists, match="force=true"):
        push(registry.host, repo)
    assert registry.manifest(repo, "cache").raw == raw
    push(registry.host, repo, "force=true")
    assert registry.manifest(repo, "cache") == stored


def test_htpasswd(htpasswd_registry: Registry, repo: str, tmp_path: Path) -> None:
    with pytest.raises(CachexportError, match="docker login") as raised:
        push(htpasswd_registry.host, repo)
    assert raised.value.exit_code == 77
    log_in(tmp_path, htpasswd_registry.host, ALICE)
    push(htpasswd_registry.host, repo)
    assert pull(htpasswd_registry.host, repo, tmp_path / "back") == expected("max")


def test_a_wrong_password_is_told_without_it(
    htpasswd_registry: Registry, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path, htpasswd_registry.host, Login("alice", "not-it"))
    with pytest.raises(Auth) as raised:
        push(htpasswd_registry.host, repo)
    assert "not-it" not in str(raised.value)


@pytest.mark.parametrize("identity", [False, True])
def test_tokens(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path, identity: bool
) -> None:
    log_in(tmp_path, token_registry.host, ALICE, identity=identity)
    push(token_registry.host, repo)
    assert pull(token_registry.host, repo, tmp_path / "back") == expected("max")


def test_who_may_only_pull_cannot_push(token_registry: Registry, repo: str, tmp_path: Path) -> None:
    log_in(tmp_path, token_registry.host, READER)
    with pytest.raises(Auth):
        push(token_registry.host, repo)
    assert registry_is_empty(token_registry, repo)


def registry_is_empty(registry: Registry, repo: str) -> bool:
    return registry.tags(repo) == []


def test_tls_without_checking(tls_registry: Registry, repo: str, tmp_path: Path) -> None:
    push(tls_registry.host, repo, "registry.insecure=true")
    back = pull(tls_registry.host, repo, tmp_path, "registry.insecure=true")
    assert back == expected("max")


def test_certificates_are_read_once_for_all_connections(
    tls_registry: Registry, repo: str, monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    read = []
    load = ssl.SSLContext.load_default_certs

    def counted(context: ssl.SSLContext, *args: Any) -> None:
        read.append(context)
        load(context, *args)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", counted)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    push(tls_registry.host, repo, "registry.insecure=false")
    assert len(read) == 1


def test_a_certificate_of_nobody_is_refused(tls_registry: Registry, repo: str) -> None:
    with pytest.raises(BackendError, match=r"registry.insecure=true") as raised:
        push(tls_registry.host, repo, "registry.insecure=false")
    assert not raised.value.temporary


def test_insecure_falls_back_to_plain_http(registry: Registry, repo: str) -> None:
    push(registry.host, repo, "registry.insecure=true")
    assert registry.tags(repo) == ["cache"]


def test_nobody_there_says_so(repo: str) -> None:
    with pytest.raises(BackendError, match="nothing answers"):
        push("127.0.0.1:1", repo)


def named_only_when_whole(scripted: ScriptedRegistry, repo: str) -> None:
    repository = scripted.store.repositories[repo]
    for reference in list(repository.tags):
        _, manifest = repository.manifest(reference)
        assert repository.lacks(manifest) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(read=10),
        Fault(read=10, reset=True),
        Fault(silent=True),
        Fault(status=500),
        Fault(status=503, headers={"Retry-After": "1"}),
        Fault(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", UPLOAD), ("POST", BLOB), ("HEAD", BLOB), ("PUT", "/manifests/")],
)
def test_what_passes_is_tried_again(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path, fault: Fault, method: str, path: str
) -> None:
    rule = scripted.on(method, path, fault, nth=1, times=2)
    push(scripted.host, repo)
    assert rule.hits > 2
    named_only_when_whole(scripted, repo)
    assert pull(scripted.host, repo, tmp_path) == expected("max")


@pytest.mark.parametrize("fault", [Fault(cut=20), Fault(cut=20, reset=True), Fault(status=502)])
def test_reading_goes_on_where_it_broke(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path, fault: Fault
) -> None:
    push(scripted.host, repo)
    scripted.on("GET", BLOB, fault, times=3)
    assert pull(scripted.host, repo, tmp_path) == expected("max")


def test_what_does_not_pass_is_the_targets_fault(scripted: ScriptedRegistry, repo: str) -> None:
    scripted.on("PUT", UPLOAD, Fault(status=507, body=b"{}"), times=None)
    with pytest.raises(TransferError, match="to the target") as raised:
        push(scripted.host, repo)
    assert raised.value.origin == "destination"
    assert isinstance(raised.value.__cause__, RegistryError)
    assert scripted.asked("PUT", "/manifests/") == []


def test_a_repository_that_is_not_there_is_not_a_cache_that_is_not_there(
    scripted: ScriptedRegistry, repo: str
) -> None:
    scripted.on("PUT", "/manifests/", Fault(status=404, body=b"{}"), times=None)
    with pytest.raises(BackendError, match="404") as raised:
        push(scripted.host, repo)
    assert raised.value.exit_code == 74


def test_a_wrong_digest_is_an_error(scripted: ScriptedRegistry, repo: str) -> None:
    wrong = {"Docker-Content-Digest": Digest.of(b"other")}
    scripted.on("PUT", "/manifests/", Fault(headers=wrong), times=None)
    with pytest.raises(Integrity, match="arrived"):
        push(scripted.host, repo)


def test_blobs_that_lie_are_not_imported(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path
) -> None:
    push(scripted.host, repo)
    blobs = scripted.store.repositories[repo].blobs
    first = next(iter(blobs))
    blobs[first] = bytes(len(blobs[first]))
    with pytest.raises(Integrity, match=first):
        pull(scripted.host, repo, tmp_path / "back")
    assert not (tmp_path / "back" / "index.json").exists()


def test_a_slow_registry_is_given_up(scripted: ScriptedRegistry, repo: str) -> None:
    from threading import Event

    never = Event()
    scripted.on("HEAD", BLOB, Fault(until=never), times=None)
    try:
        with pytest.raises(BackendError, match="no answer in time"):
            push(scripted.host, repo, "timeout=1,retries=1,parallelism=1")
    finally:
        never.set()


@pytest.mark.parametrize("status", [400, 415])
def test_a_form_that_is_refused_is_written_in_another(
    scripted: ScriptedRegistry, repo: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    scripted.refuse(mediatype.OCI_MANIFEST, status=status)
    response = push(scripted.host, repo)
    answered = json.loads(response["cache.manifest"])
    assert answered["mediaType"] == mediatype.OCI_INDEX
    assert scripted.store.repositories[repo].tags["cache"] == answered["digest"]
    assert "refused the form image-manifest and took oci-index" in caplog.text


def test_a_login_does_not_follow_a_redirect(
    scripted: ScriptedRegistry, authority: Authority, repo: str, tmp_path: Path
) -> None:
    from support.services.scripted import ScriptedRegistry as Other

    push(scripted.host, repo)
    log_in(tmp_path, scripted.host, ALICE)
    challenge = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    scripted.on("*", "", challenge, times=None, when=lambda r: "Authorization" not in r.headers)
    with Other() as store:
        for digest, blob in scripted.store.repositories[repo].blobs.items():
            store.add_blob(repo, blob)
            elsewhere = {"Location": f"{store.url}/v2/{repo}/blobs/{digest}"}
            scripted.on("GET", digest, Fault(status=307, headers=elsewhere), times=None)
        assert pull(scripted.host, repo, tmp_path / "back") == expected("max")
        assert store.requests
        assert not any("Authorization" in request.headers for request in store.requests)


def test_a_login_does_not_follow_an_upload(
    scripted: ScriptedRegistry, repo: str, tmp_path: Path
) -> None:
    from support.services.scripted import ScriptedRegistry as Other

    log_in(tmp_path, scripted.host, ALICE)
    challenge = Fault(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    scripted.on("*", "", challenge, times=None, when=lambda r: "Authorization" not in r.headers)
    with Other() as store:
        elsewhere = {"Location": f"{store.url}/v2/{repo}/blobs/uploads/x"}
        scripted.on("POST", BLOB, Fault(status=202, headers=elsewhere), times=None)
        with pytest.raises(CachexportError):
            push(scripted.host, repo, "retries=1")
        assert store.asked("PUT")
        assert not any("Authorization" in request.headers for request in store.requests)
