"""The rig itself: processes end, and registries do what tests take for granted."""

from __future__ import annotations

import os
import select
import signal
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support import TESTS
from support.caches import FOLDER
from support.services.client import Answer, ask
from support.services.logins import ALICE, READER, Login
from support.services.push import PushFailed, push_blob, push_layout
from support.services.registry import running_registry
from support.services.token_server import SERVICE

from cachexport.testing import services
from cachexport.testing.services import ServiceFailed, answers, free_port, program, running

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry
    from support.services.tls import Authority
    from support.services.token_server import TokenServer

STARTER = """
import sys
from pathlib import Path
from cachexport.testing.services import running
with running(["sleep", "600"], Path(sys.argv[1]), lambda pid: True) as pid:
    print(pid, flush=True)
    sys.stdin.read()
"""


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    assert port < 22_768
    _leave_only(port, monkeypatch)
    with pytest.raises(OSError, match="free"):
        free_port()


def test_no_port_is_given_that_another_program_has(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        _leave_only(other.getsockname()[1], monkeypatch)
        with pytest.raises(OSError, match="free"):
            free_port()


def test_a_service_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    argv = ["sh", "-c", "echo no such luck; exit 3"]
    with (
        pytest.raises(ServiceFailed, match=r"(?s)ended with 3.*no such luck"),
        running(argv, tmp_path / "log", lambda _: False),
    ):
        pass


def test_a_service_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    started: list[int] = []

    def never(pid: int) -> bool:
        started.append(pid)
        return False

    with (
        pytest.raises(ServiceFailed, match="not ready"),
        running(["sleep", "600"], tmp_path / "log", never, seconds=0.05),
    ):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_service_ends_with_its_block(tmp_path: Path) -> None:
    port = free_port()
    with running_registry(tmp_path, port=port):
        assert answers(port)
    assert not answers(port)


def test_a_service_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    program("setpriv")
    run = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    with run:
        assert run.stdout
        service = os.pidfd_open(int(run.stdout.readline()))
        run.kill()
    assert _ends(service)


def test_services_see_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_STORAGE_MAINTENANCE_READONLY", '{"enabled": true}')
    with running_registry(tmp_path) as registry:
        push_blob(registry.url, "a/b", b"blob")


def test_a_registry_keeps_a_blob_until_the_test_takes_it(registry: Registry, repo: str) -> None:
    digest = push_blob(registry.url, repo, b"blob of " + repo.encode())
    assert registry.has_blob(digest)
    assert registry.has_blob(digest, repo)
    assert not registry.has_blob(digest, "other/repository")
    assert _head(registry, repo, digest) == 200
    registry.delete_blob_file(digest)
    assert not registry.has_blob(digest)
    assert _head(registry, repo, digest) == 404


def test_a_registry_shows_what_a_tag_names(registry: Registry, repo: str) -> None:
    assert registry.tags(repo) == []
    with pytest.raises(FileNotFoundError):
        registry.manifest(repo, "cache")
    digest = push_layout(registry.url, repo, "cache", FOLDER / "max")
    assert registry.tags(repo) == ["cache"]
    assert registry.manifest(repo, "cache").digest == digest
    assert len(registry.manifest(repo, "cache").json()["layers"]) > 3


def test_a_registry_deletes(registry: Registry, repo: str) -> None:
    digest = push_layout(registry.url, repo, "cache", FOLDER / "min")
    url = f"{registry.url}/v2/{repo}/manifests/{digest}"
    assert ask("DELETE", url).status == 202
    assert registry.tags(repo) == []


def test_a_registry_started_anew_has_what_it_had(tmp_path: Path) -> None:
    with running_registry(tmp_path) as before:
        digest = push_blob(before.url, "a/b", b"blob")
    with running_registry(tmp_path) as after:
        assert _head(after, "a/b", digest) == 200


def test_htpasswd_lets_in_who_knows_the_password(htpasswd_registry: Registry, repo: str) -> None:
    refused = ask("GET", f"{htpasswd_registry.url}/v2/")
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    wrong = {"Authorization": Login(ALICE.name, "guess").basic}
    assert ask("GET", f"{htpasswd_registry.url}/v2/", headers=wrong).status == 401
    right = {"Authorization": ALICE.basic}
    digest = push_blob(htpasswd_registry.url, repo, b"blob", right)
    assert htpasswd_registry.has_blob(digest, repo)


def test_tls_is_trusted_with_the_authority_only(
    tls_registry: Registry, repo: str, authority: Authority
) -> None:
    digest = push_blob(tls_registry.url, repo, b"blob", trust=authority.trust())
    assert tls_registry.has_blob(digest, repo)
    with pytest.raises(ssl.SSLCertVerificationError):
        ask("GET", f"{tls_registry.url}/v2/", trust=ssl.create_default_context())


def test_a_registry_sends_to_the_token_server(
    token_registry: Registry, tokens: TokenServer, repo: str
) -> None:
    refused = ask("POST", f"{token_registry.url}/v2/{repo}/blobs/uploads/")
    assert refused.status == 401
    challenge = refused.headers["WWW-Authenticate"]
    assert f'Bearer realm="{tokens.url}",service="{SERVICE}"' in challenge
    scopes = {f'scope="repository:{repo}:{actions}"' for actions in ("pull,push", "push,pull")}
    assert any(scope in challenge for scope in scopes)


def test_a_token_is_for_its_scope(token_registry: Registry, tokens: TokenServer, repo: str) -> None:
    bearer = _bearer(_token(tokens, f"repository:{repo}:pull,push", ALICE))
    digest = push_blob(token_registry.url, repo, b"blob", bearer)
    assert token_registry.has_blob(digest, repo)
    with pytest.raises(PushFailed, match="401"):
        push_blob(token_registry.url, f"{repo}/other", b"blob", bearer)


def test_a_reader_may_only_pull(token_registry: Registry, tokens: TokenServer, repo: str) -> None:
    scope = f"repository:{repo}:pull,push"
    digest = push_blob(token_registry.url, repo, b"blob", _bearer(_token(tokens, scope, ALICE)))
    reader = _bearer(_token(tokens, scope, READER))
    assert _head(token_registry, repo, digest, reader) == 200
    with pytest.raises(PushFailed, match="401"):
        push_blob(token_registry.url, repo, b"more", reader)


def test_a_token_lives_as_long_as_the_test_chooses(
    token_registry: Registry, tokens: TokenServer, repo: str
) -> None:
    scope = f"repository:{repo}:pull,push"
    tokens.lifetime = -1
    answer = _token(tokens, scope, ALICE)
    assert answer.json()["expires_in"] == 300
    with pytest.raises(PushFailed, match="401"):
        push_blob(token_registry.url, repo, b"blob", _bearer(answer))
    tokens.lifetime = 30
    push_blob(token_registry.url, repo, b"blob", _bearer(_token(tokens, scope, ALICE)))


def test_the_token_server_knows_who_asked_for_what(tokens: TokenServer) -> None:
    scope = "repository:localhost:5000/a:pull,push"
    assert _token(tokens, scope, None).status == 200
    assert _token(tokens, scope, Login("alice", "guess")).status == 401
    form = f"grant_type=refresh_token&refresh_token=alice-identity&scope={scope}+registry:x:y"
    assert "access_token" in ask("POST", tokens.url, form.encode()).json()
    assert ask("POST", tokens.url, b"grant_type=refresh_token&refresh_token=x").status == 401
    seen = [(asked.method, asked.name, asked.secret) for asked in tokens.requests]
    assert seen == [
        ("GET", None, None),
        ("GET", "alice", "guess"),
        ("POST", None, "alice-identity"),
        ("POST", None, "x"),
    ]
    assert tokens.requests[2].scopes == (scope, "registry:x:y")


def _leave_only(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "LOWEST", port)
    monkeypatch.setattr(services, "BEYOND", port + 1)


def _head(registry: Registry, repo: str, digest: str, headers: dict[str, str] | None = None) -> int:
    return ask("HEAD", f"{registry.url}/v2/{repo}/blobs/{digest}", headers=headers).status


def _token(tokens: TokenServer, scope: str, login: Login | None) -> Answer:
    headers = {"Authorization": login.basic} if login else {}
    return ask("GET", f"{tokens.url}?service={SERVICE}&scope={scope}", headers=headers)


def _bearer(answer: Answer) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def _ends(pidfd: int) -> bool:
    """Wait until the process has ended; end it if it does not."""
    readable, _, _ = select.select([pidfd], [], [], 10)
    if not readable:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    return bool(readable)
