"""What BuildKit writes there and expects to find, and what GitHub does to both."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cachexport_gha.backend import GhaBackend
from github import MAIN, READ, REPOSITORY, WRITE, runner_token

import cachexport
from cachexport.errors import (
    Auth,
    BackendError,
    FailedPrecondition,
    InvalidAttr,
    NotFound,
    Outdated,
)
from cachexport.plugin import Clock, Spec, using_clock
from cachexport.testing import small_chains

if TYPE_CHECKING:
    from cachexport_gha.client import GhaClient
    from github import GitHub

DIGITS = hashlib.sha256(MAIN.encode()).hexdigest()[:8]
INDEX = f"index-buildkit-1-{DIGITS}"


def client(github: GitHub, token: str = "", *, lists: bool = True, **options: float) -> GhaClient:
    backend = GhaBackend({})
    given = dict(
        word.split("=", 1) for word in github.spec(token=token, lists=lists).split(",")[1:]
    )
    attrs = backend._read(Spec("gha", given), as_target=True)
    _, _, made = backend._opened(attrs)
    for name, value in options.items():
        setattr(made, f"_{name}", value)
    return made


def steps(spec: str) -> int:
    """Say how many steps a cache has beside their common base."""
    return len(cachexport.import_cache(spec)) - 1


def prune(spec: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cachexport", "prune", "--yes", "--grace", "0s", spec]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_keys_are_buildkits(github: GitHub) -> None:
    cachexport.export_cache(small_chains(1), github.spec())
    index, *blobs = github.keys()[-1], *github.keys()[:-1]
    assert index == f"{INDEX}#1"
    named = json.loads(github.get(index))
    assert f"buildkit-blob-1-{named['layers'][0]['blob']}" in blobs
    assert all(key.startswith("buildkit-blob-1-sha256:") for key in blobs)
    assert list(named["layers"][0]["annotations"]) == ["mediaType", "diffID", "size", "createdAt"]
    cachexport.export_cache(small_chains(2), github.spec())
    assert github.keys()[-2:] == [f"{INDEX}#1", f"{INDEX}#2"]


def test_the_newest_index_is_read_and_what_others_save_is_passed_over(github: GitHub) -> None:
    cachexport.export_cache(small_chains(1), github.spec())
    cachexport.export_cache(small_chains(1, 2), github.spec())
    github.put(f"{INDEX}#9", b"not BuildKit's", version="other")
    github.put("node-modules", b"somebody else's")
    assert steps(github.spec()) == 2
    assert [item.name for item in cachexport.list_names(github.spec())] == ["buildkit"]


def test_a_branch_reads_its_own_cache_and_that_of_its_base(github: GitHub) -> None:
    cachexport.export_cache(small_chains(1), github.spec())
    branch = runner_token(topic=WRITE, main=READ)
    assert steps(github.spec(token=branch)) == 1
    cachexport.export_cache(small_chains(2), github.spec(token=branch))
    assert steps(github.spec(token=branch)) == 2
    assert steps(github.spec()) == 1
    names = {item.name for item in cachexport.list_names(github.spec(token=branch))}
    assert names == {"buildkit", f"buildkit@{DIGITS}"}
    assert steps(github.spec(f"scope=buildkit@{DIGITS}", token=branch)) == 1


def test_a_job_that_may_only_read_is_told_so(github: GitHub) -> None:
    cachexport.export_cache(small_chains(1), github.spec())
    fork = runner_token(main=READ)
    assert steps(github.spec(token=fork)) == 1
    with pytest.raises(cachexport.CachexportError, match="the token may only read") as raised:
        cachexport.export_cache(small_chains(2), github.spec(token=fork))
    assert runner_token(main=READ) not in str(raised.value)


def test_without_a_token_for_the_api_caches_move_but_nothing_is_listed(github: GitHub) -> None:
    spec = github.spec(lists=False)
    cachexport.export_cache(small_chains(1, 2, 3, 4), spec)
    assert steps(spec) == 4
    with pytest.raises(FailedPrecondition, match="it needs repository= and ghtoken="):
        cachexport.list_names(spec)


def test_many_blobs_are_looked_for_with_one_listing(github: GitHub) -> None:
    cachexport.export_cache(small_chains(*range(20)), github.spec())
    github.calls.clear()
    cachexport.export_cache(small_chains(*range(20)), github.spec())
    assert github.calls.count("GET") == 1
    assert github.calls.count("GetCacheEntryDownloadURL") < 5


def test_a_number_that_nobody_saves_is_passed_over(github: GitHub) -> None:
    made = client(github, timeout=0.0)
    made._service.reserve(f"{INDEX}#1")
    assert made.replace(INDEX, b"{}", {}, version="") == "2"
    with pytest.raises(Outdated):
        made.replace(INDEX, b"{}", {}, version="")
    assert made.replace(INDEX, b"{}", {}, version="2") == "3"
    assert made.replace(INDEX, b"{}", {}, version=None) == "4"


def test_a_blob_that_nobody_saves_is_an_error_that_says_what_to_do(github: GitHub) -> None:
    class Empty:
        def read(self, size: int, /) -> bytes:
            return b""

        def close(self) -> None:
            return

    made = client(github, timeout=0.0)
    made._service.reserve("buildkit-blob-1-x")
    with pytest.raises(BackendError, match="begun by somebody who has not ended it"):
        made.write("buildkit-blob-1-x", Empty(), 0)


def test_what_github_asks_for_is_waited_for(github: GitHub) -> None:
    made = client(github)
    waits: list[float] = []
    github.refusals += [(429, {"Retry-After": "7"})]
    with using_clock(Clock(sleep=waits.append)), pytest.raises(NotFound):
        made.head("buildkit-blob-1-none")
    assert max(waits) == pytest.approx(7, abs=1)


def test_a_signed_url_that_has_expired_is_asked_for_again(github: GitHub) -> None:
    made = client(github)
    github.put("buildkit-blob-1-x", b"content")
    github.seconds = -60.0
    find = github._GetCacheEntryDownloadURL

    def later(body: object, scopes: object) -> object:
        answer = find(body, scopes)
        github.seconds = 3600.0
        return answer

    github._GetCacheEntryDownloadURL = later  # type: ignore[method-assign,assignment]
    assert made.read("buildkit-blob-1-x").read(100) == b"content"


def test_blobs_of_other_branches_are_spared(github: GitHub) -> None:
    cachexport.export_cache(small_chains(1), github.spec())
    branch = github.spec("touch_refresh=0s", token=runner_token(topic=WRITE, main=READ))
    cachexport.export_cache(small_chains(2), branch)
    github.items = [item for item in github.items if not item.key.startswith("index-")]
    assert prune(branch).returncode == 0
    assert {item.ref for item in github.items} == {MAIN}


def test_nothing_is_deleted_while_an_unreadable_branch_has_a_cache(github: GitHub) -> None:
    cachexport.export_cache(small_chains(1), github.spec())
    other = runner_token(topic=WRITE, main=READ)
    cachexport.export_cache(small_chains(2), github.spec(token=other))
    before = len(github.items)
    done = prune(github.spec("touch_refresh=0s"))
    assert "there are caches of refs/heads/topic, which this job cannot read" in done.stderr
    assert done.returncode != 0
    assert len(github.items) == before


@pytest.mark.parametrize(
    ("attrs", "env", "wrong", "message"),
    [
        ({}, {}, "token", "needs token=, or .ACTIONS_RUNTIME_TOKEN"),
        ({"token": "abc"}, {}, "token", "no token of a runner"),
        ({"token": "T"}, {}, "url_v2", "needs url_v2=, or .ACTIONS_RESULTS_URL"),
        ({"token": "T", "version": "1"}, {}, "version", "switched off"),
        ({"token": "T", "url": "https://artifactcache.actions.x/a"}, {}, "url", "version 1"),
        ({"token": "T", "url_v2": "x"}, {}, "url_v2", "wants a URL"),
        ({"token": "T", "repository": "x"}, {}, "repository", "wants owner/repository"),
        ({"token": "T", "scope": "a#1"}, {}, "scope", "without #"),
    ],
)
def test_what_cannot_be_is_refused(
    attrs: dict[str, str], env: dict[str, str], wrong: str, message: str
) -> None:
    given = {key: runner_token(main=WRITE) if text == "T" else text for key, text in attrs.items()}
    with pytest.raises(InvalidAttr, match=message) as raised:
        GhaBackend(env).target(Spec("gha", given))
    assert raised.value.name == wrong
    assert runner_token(main=WRITE) not in str(raised.value)


def test_the_environment_of_a_job_is_enough(github: GitHub) -> None:
    env = {
        "ACTIONS_RUNTIME_TOKEN": runner_token(main=WRITE),
        "ACTIONS_RESULTS_URL": f"{github.url}/",
        "GITHUB_REPOSITORY": REPOSITORY,
    }
    cachexport.export_cache(small_chains(1), github.spec())
    source = GhaBackend(env).source(Spec("gha", {}))
    [cache] = source.load()
    assert len(cache.config.records) == 2
    source.close()


def test_a_wrong_token_for_the_api_is_said(github: GitHub) -> None:
    spec = github.spec().replace("ghtoken=secret", "ghtoken=other-secret")
    with pytest.raises(Auth, match="the token may not do that, or has expired") as raised:
        cachexport.list_names(spec)
    assert "other-secret" not in str(raised.value)
