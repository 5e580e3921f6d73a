"""`doctor` on real registries, and how long a manifest may be."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from services.diagnoses import (
    FORMS,
    MAX,
    READING,
    TAG,
    examine,
    found,
    log_in,
    outcomes,
    spec,
    undeletable,
)
from support import caches
from support.clock import wait_for_nothing
from support.services.logins import ALICE, READER, Login
from support.services.registry import running_registry
from support.services.scripted.faults import Fault
from support.services.token_server import running_token_server

from cachexport import copy_cache
from cachexport.cli import main
from cachexport.contract.checks import Outcome
from cachexport.doctor.engine import doctor

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry
    from support.services.scripted import ScriptedRegistry
    from support.services.tls import Authority
    from support.services.token_server import TokenServer

NAMES = [
    *READING,
    "write",
    *FORMS,
    "replace",
    "read-back",
    "missing-blobs",
    "chunked-upload",
    "mount",
    "merge",
    "delete",
    "large-manifest",
    "clean-up",
]


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wait_for_nothing()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_a_good_registry(registry: Registry, repo: str) -> None:
    checks = examine(registry.host, repo)
    assert list(checks) == NAMES
    assert outcomes(checks) == {"merge": "note"}
    assert checks["reach"].facts["version"] == "registry/2.0"
    assert checks["reach"].facts["scheme"] == "http"
    assert checks["login"].facts == {"challenge": None, "user": None}
    assert checks["read"].facts == {"found": "nothing"}
    assert checks["read-back"].facts == {"ranges": True}
    assert checks["missing-blobs"].facts == {"status": 400, "trust_existing": True}
    assert checks["chunked-upload"].facts == {"accepted": True, "status_told": True}
    assert checks["mount"].facts == {"mounted": True}
    assert checks["delete"].facts == {"status": 202}
    assert checks["large-manifest"].facts == {"accepted_bytes": 4 << 20}
    assert "merge=true" in checks["merge"].text


def test_nothing_is_left(registry: Registry, repo: str) -> None:
    checks = examine(registry.host, repo)
    assert checks["clean-up"].facts == {"left_tag": None, "left_manifests": 0, "left_blobs": 0}
    assert registry.tags(repo) == []
    repository = registry.root / "docker" / "registry" / "v2" / "repositories" / repo
    links = [path for path in repository.rglob("link") if "index" not in path.parts]
    assert links == []
    assert list((repository / "_uploads").iterdir()) == []


def test_a_cache_that_is_there_is_left_as_it_is(
    registry: Registry, repo: str, tmp_path: Path
) -> None:
    copy_cache([MAX], [spec(registry.host, repo)])
    before = registry.manifest(repo, "cache")
    checks = examine(registry.host, repo)
    assert checks["read"].facts == {"found": "cache", "form": "image-manifest", "records": 16}
    assert registry.tags(repo) == ["cache"]
    assert registry.manifest(repo, "cache") == before
    copy_cache([spec(registry.host, repo)], [f"type=local,dest={tmp_path / 'back'}"])
    assert caches.files(tmp_path / "back") == caches.files(caches.FOLDER / "max")


def test_a_digest_is_only_read(registry: Registry, repo: str) -> None:
    copy_cache([MAX], [spec(registry.host, repo)])
    digest = registry.manifest(repo, "cache").digest
    checks = found(doctor(f"{registry.host}/{repo}@{digest}"))
    assert list(checks) == [*READING, "write"]
    assert checks["read"].facts["found"] == "cache"
    assert checks["write"].outcome is Outcome.SKIPPED


def test_what_cannot_be_deleted_is_named(repo: str, tmp_path: Path) -> None:
    with undeletable(tmp_path) as registry:
        diagnosis = doctor(spec(registry.host, repo))
        [tag] = registry.tags(repo)
    checks = found(diagnosis)
    assert diagnosis.exit_code == 0
    bad = {"merge": "note", "delete": "warning", "large-manifest": "skipped"}
    assert outcomes(checks) == {**bad, "clean-up": "warning"}
    assert TAG.fullmatch(tag)
    assert f"{registry.host}/{repo}:{tag}" in checks["clean-up"].text
    assert checks["clean-up"].facts["left_tag"] == tag
    assert "405" in checks["delete"].text
    assert "storage.delete.enabled" in checks["delete"].advice
    blobs = registry.root / "docker" / "registry" / "v2" / "blobs"
    # What stays is small.
    assert sum(path.stat().st_size for path in blobs.rglob("data")) < 20_000


def test_without_a_login(htpasswd_registry: Registry, repo: str) -> None:
    diagnosis = doctor(spec(htpasswd_registry.host, repo))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 77
    assert checks["login"].outcome is Outcome.FAILED
    assert checks["login"].advice == f"docker login {htpasswd_registry.host}"
    assert checks["write"].text == "needs login, which failed"
    assert checks["clock"].outcome is Outcome.OK


def test_a_wrong_login(htpasswd_registry: Registry, repo: str, tmp_path: Path) -> None:
    log_in(tmp_path / "home", htpasswd_registry.host, Login("alice", "not-it"))
    diagnosis = doctor(spec(htpasswd_registry.host, repo))
    login = found(diagnosis)["login"]
    assert diagnosis.exit_code == 77
    assert login.text.startswith("basic: alice is refused (401")
    assert login.facts == {"challenge": "basic", "user": "alice"}
    assert "not-it" not in repr(diagnosis)


def test_a_login_is_told_without_its_secret(
    htpasswd_registry: Registry, repo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_in(tmp_path / "home", htpasswd_registry.host, ALICE)
    for form in ("table", "json"):
        assert main(["doctor", spec(htpasswd_registry.host, repo), "--format", form]) == 0
        shown = capsys.readouterr()
        assert "basic, as alice" in shown.out
        for secret in (ALICE.password, ALICE.basic.split()[1]):
            assert secret not in shown.out + shown.err
    assert htpasswd_registry.tags(repo) == []


def test_a_login_that_cannot_be_read(
    htpasswd_registry: Registry, repo: str, tmp_path: Path
) -> None:
    config = tmp_path / "home" / ".docker" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text("{")
    login = examine(htpasswd_registry.host, repo)["login"]
    assert login.exit_code == 77
    assert str(config) in login.text


def test_tokens(token_registry: Registry, repo: str, tmp_path: Path) -> None:
    log_in(tmp_path / "home", token_registry.host, ALICE)
    checks = examine(token_registry.host, repo)
    assert outcomes(checks) == {"merge": "note"}
    assert checks["login"].text == "bearer, as alice"
    assert token_registry.tags(repo) == []


def test_a_token_is_asked_for_no_more_than_is_needed(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path / "home", token_registry.host, ALICE)
    doctor(spec(token_registry.host, repo), read_only=True)
    asked = {scope for request in tokens.requests for scope in request.scopes}
    assert asked == {f"repository:{repo}:pull"}


def test_who_may_only_pull(
    token_registry: Registry, tokens: TokenServer, repo: str, tmp_path: Path
) -> None:
    log_in(tmp_path / "home", token_registry.host, READER)
    diagnosis = doctor(spec(token_registry.host, repo))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 77
    assert [checks[name].outcome for name in READING] == [Outcome.OK] * 4
    assert checks["write"].exit_code == 77
    host = token_registry.host
    assert (
        checks["write"].advice == f"docker login {host} as somebody who may push to {host}/{repo}"
    )
    # There is nothing to remove.
    asked = {scope for request in tokens.requests for scope in request.scopes}
    assert not any("delete" in scope for scope in asked)


def test_nobody_may_pull_at_most(token_registry: Registry, tokens: TokenServer, repo: str) -> None:
    tokens.anonymous = frozenset({"pull"})
    checks = examine(token_registry.host, repo)
    assert checks["login"].outcome is Outcome.NOTE
    assert checks["login"].advice == f"docker login {token_registry.host}"
    assert checks["read"].outcome is Outcome.OK
    assert checks["write"].exit_code == 77


def test_who_may_push_but_not_delete(authority: Authority, repo: str, tmp_path: Path) -> None:
    pusher = Login("pusher", "pushes", frozenset({"pull", "push"}))
    folder = tmp_path / "registry"
    folder.mkdir()
    with (
        running_token_server(authority, [pusher]) as tokens,
        running_registry(folder, tokens=tokens) as registry,
    ):
        log_in(tmp_path / "home", registry.host, pusher)
        checks = examine(registry.host, repo)
        [tag] = registry.tags(repo)
    assert checks["delete"].outcome is Outcome.WARNING
    assert checks["delete"].advice == f"docker login {registry.host} as somebody who may delete"
    assert checks["clean-up"].facts["left_tag"] == tag
    assert checks["large-manifest"].outcome is Outcome.SKIPPED


def test_a_certificate_of_nobody(tls_registry: Registry, repo: str) -> None:
    diagnosis = doctor(spec(tls_registry.host, repo, "registry.insecure=false"))
    reach = found(diagnosis)["reach"]
    assert diagnosis.exit_code == 74
    assert "certificate" in reach.text
    assert "registry.insecure=true" in reach.advice
    assert "SSL_CERT_FILE" in reach.advice


def test_the_advice_about_certificates_is_good(
    tls_registry: Registry, authority: Authority, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    checks = examine(tls_registry.host, repo, "registry.insecure=false")
    assert outcomes(checks) == {"merge": "note"}
    assert checks["reach"].facts["scheme"] == "https"
    monkeypatch.delenv("SSL_CERT_FILE")
    checks = examine(tls_registry.host, repo, "registry.insecure=true")
    assert outcomes(checks) == {"reach": "note", "merge": "note"}


def test_plain_http_far_away_is_a_warning(
    registry: Registry, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, genuine = registry.host.rpartition(":")[2], socket.getaddrinfo

    def resolve(host: str, *args: object, **kwargs: object) -> object:
        return genuine("127.0.0.1" if host == "far.example" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    reach = examine(f"far.example:{port}", repo, "registry.insecure=true")["reach"]
    assert reach.outcome is Outcome.WARNING
    assert "TLS" in reach.advice


def test_nobody_there(repo: str) -> None:
    diagnosis = doctor(spec("127.0.0.1:1", repo))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 74
    assert "nothing answers" in checks["reach"].text
    assert checks["reach"].advice == "check host and port in ref=, and that the registry runs"
    assert set(outcomes(checks).values()) == {"failed", "skipped"}


def test_a_host_that_nobody_knows(repo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    reach = examine("registry.example", repo)["reach"]
    assert reach.exit_code == 74
    assert "DNS" in reach.advice


def test_mounts_from_elsewhere(registry: Registry, repo: str) -> None:
    other = f"{repo}-other"
    copy_cache([MAX], [spec(registry.host, other)])
    mount = examine(registry.host, repo, f"mount-from={other}")["mount"]
    assert mount.outcome is Outcome.OK
    assert other in mount.text
    assert registry.tags(other) == ["cache"]


def test_mounts_that_do_not_work(registry: Registry, repo: str) -> None:
    mount = examine(registry.host, repo, f"mount-from={repo}-absent")["mount"]
    assert mount.outcome is Outcome.WARNING
    assert f"{repo}-absent: it is not there" in mount.text
    assert "mount-from" in mount.advice


def too_long(limit: int) -> object:
    return lambda request: int(request.headers.get("Content-Length", 0)) > limit


@pytest.mark.parametrize(
    ("limit", "outcome", "accepted"),
    [
        (1 << 20, Outcome.OK, 1 << 20),
        (300_000, Outcome.WARNING, 256 << 10),
        (50_000, Outcome.WARNING, 0),
    ],
)
def test_manifests_that_are_too_long(
    scripted: ScriptedRegistry, repo: str, limit: int, outcome: Outcome, accepted: int
) -> None:
    fault = Fault(status=413, body=b"{}")
    scripted.on("PUT", "/manifests/", fault, times=None, when=too_long(limit))
    large = examine(scripted.host, repo)["large-manifest"]
    assert (large.outcome, large.facts) == (outcome, {"accepted_bytes": accepted})
    assert ("mode=min" in large.advice) is (outcome is Outcome.WARNING)


def test_a_proxy_that_hangs_up_on_long_manifests(scripted: ScriptedRegistry, repo: str) -> None:
    fault = Fault(read=1000, reset=True)
    scripted.on("PUT", "/manifests/", fault, times=None, when=too_long(300_000))
    large = examine(scripted.host, repo)["large-manifest"]
    assert large.facts == {"accepted_bytes": 256 << 10}
    assert "connection broke" in large.text
    assert scripted.store.repositories[repo].manifests == {}


def test_large_manifests_are_as_large_as_they_say(scripted: ScriptedRegistry, repo: str) -> None:
    examine(scripted.host, repo)
    sizes = [len(request.body) for request in scripted.asked("PUT", "/manifests/")]
    assert (4 << 20) - 1000 < max(sizes) <= 4 << 20
