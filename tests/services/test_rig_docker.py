"""The rig's docker daemons: they build, forget, push and pull, and know nothing of each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.services.builds import DOCKERFILE, BuildLog, write_context
from support.services.dockerd import DockerFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.dockerd import Dockerd
    from support.services.registry import Registry

INLINE = ("--build-arg", "BUILDKIT_INLINE_CACHE=1")
STEPS = [
    "[app 1/2] COPY source /source",
    '[app 2/2] RUN ["/bin/tool", "/app", "made of one"]',
    "[base 1/2] COPY tool /bin/tool",
    '[base 2/2] RUN ["/bin/tool", "/base", "base"]',
    "[stage-2 1/1] COPY --from=app /app /app",
]


def test_a_build_is_cached_until_it_is_pruned(
    dockerd: Dockerd, context: Callable[[str], Path]
) -> None:
    one = context("one")
    assert dockerd.build(one, "one").executed == STEPS
    assert dockerd.build(one, "one").cached == STEPS
    dockerd.prune_all()
    assert dockerd.run("image", "ls", "--quiet") == ""
    assert dockerd.build(one, "one").executed == STEPS


def test_other_sources_make_another_build(dockerd: Dockerd, context: Callable[[str], Path]) -> None:
    dockerd.build(context("one"), "one")
    other = dockerd.build(context("two"), "two")
    assert other.cached == STEPS[2:4]
    assert len(other.executed) == 3


def test_two_daemons_share_nothing(
    dockerd: Dockerd, other_dockerd: Dockerd, context: Callable[[str], Path]
) -> None:
    one = context("one")
    dockerd.build(one, "one")
    assert other_dockerd.build(one, "one").executed == STEPS
    assert dockerd.build(one, "one").cached == STEPS


def test_an_inline_cache_goes_from_daemon_to_daemon(
    dockerd: Dockerd,
    other_dockerd: Dockerd,
    context: Callable[[str], Path],
    registry: Registry,
    repo: str,
) -> None:
    one, name = context("one"), f"{registry.host}/{repo}:inline"
    dockerd.build(one, name, *INLINE)
    dockerd.push(name)
    config = registry.manifest(repo, "inline").json()["config"]["digest"]
    assert registry.has_blob(config, repo)
    again = other_dockerd.build(one, "one", "--cache-from", name)
    assert "importing cache manifest" in again.text
    assert STEPS[-1] in again.cached
    assert again.executed == []


def test_a_daemon_pulls_what_another_pushed(
    dockerd: Dockerd,
    other_dockerd: Dockerd,
    context: Callable[[str], Path],
    registry: Registry,
    repo: str,
) -> None:
    name = f"{registry.host}/{repo}:pushed"
    dockerd.build(context("one"), name)
    dockerd.push(name)
    other_dockerd.pull(name)
    (image,) = json.loads(other_dockerd.run("image", "inspect", name))
    assert image["Config"]["Entrypoint"] == ["/bin/tool"]


def test_a_failing_step_is_told(dockerd: Dockerd, tmp_path: Path, tool: Path) -> None:
    broken = DOCKERFILE.replace("/base", "/no/such/folder")
    with pytest.raises(DockerFailed, match=r"/no/such/folder.* exit code: 1"):
        dockerd.build(write_context(tmp_path / "broken", tool, "one", broken), "broken")


def test_the_log_of_a_build_is_read_by_step() -> None:
    log = BuildLog.parse(
        "#1 [internal] load .dockerignore\n#1 DONE 0.0s\n\n"
        "#2 [base 1/2] COPY a /a\n#2 CACHED\n\n"
        "#3 [2/2] RUN x\n#3 0.1 #2 CACHED\n#3 DONE 1.0s\n"
    )
    assert log.cached == ["[base 1/2] COPY a /a"]
    assert log.executed == ["[2/2] RUN x"]
