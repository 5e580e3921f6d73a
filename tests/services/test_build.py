"""Builds without a daemon, against a registry and with Docker to run what came out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cachexport

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.dockerd import Dockerd
    from support.services.registry import Registry


def build(host: str, repo: str, folder: Path, tool: Path, version: str) -> list[bool]:
    """Make an image on another one of the same registry, both with the same cache."""
    cache = f"type=registry,ref={host}/{repo}:cache"

    def configure(root: Path) -> None:
        (root / "etc").mkdir()
        (root / "etc" / "version").write_text(version)

    with cachexport.build(store=folder / "base-store", platform="linux/amd64") as base:
        base.copy(tool, "/bin/tool")
        base.export(f"type=registry,name={host}/{repo}:base")
    with cachexport.build(
        f"{host}/{repo}:base",
        cache_from=[cache],
        cache_to=[f"{cache},merge=true"],
        platform="linux/amd64",
        store=folder / "store",
    ) as made:
        made.layer(key=f"configure {version}", make=configure)
        made.copy(folder / "data", "/data")
        made.config(entrypoint=["/bin/tool"], cmd=["/made", "by the program"])
        made.export(f"type=registry,name={host}/{repo}:app")
    return [step.is_cached for step in made.steps]


def test_docker_runs_what_was_built_and_pushed(
    registry: Registry, repo: str, dockerd: Dockerd, tool: Path, tmp_path: Path
) -> None:
    host = registry.host
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("x")
    assert build(host, repo, tmp_path, tool, "1") == [False, False]
    name = f"{host}/{repo}:app"
    dockerd.run("pull", name)
    (found,) = json.loads(dockerd.run("image", "inspect", name))
    assert found["Config"]["Entrypoint"] == ["/bin/tool"]
    assert len(found["RootFS"]["Layers"]) == 3
    dockerd.run("run", "--network=none", "--name=ran", name)
    try:
        for path in ("made", "etc/version", "data/x"):
            dockerd.run("cp", f"ran:/{path}", str(tmp_path / path.replace("/", "-")))
    finally:
        dockerd.run("rm", "ran")
    assert (tmp_path / "made").read_text() == "by the program\n"
    assert (tmp_path / "etc-version").read_text() == "1"
    assert (tmp_path / "data-x").read_text() == "x"


def test_another_machine_builds_from_the_cache(
    registry: Registry, repo: str, tool: Path, tmp_path: Path
) -> None:
    for machine in ("one", "two"):
        (tmp_path / machine / "data").mkdir(parents=True)
        (tmp_path / machine / "data" / "x").write_text("x")
    assert build(registry.host, repo, tmp_path / "one", tool, "1") == [False, False]
    assert build(registry.host, repo, tmp_path / "two", tool, "1") == [True, True]
    # Nothing had to be fetched there.
    assert not list((tmp_path / "two" / "store" / "blobs").rglob("sha256/*"))
    assert build(registry.host, repo, tmp_path / "two", tool, "2") == [False, False]
    assert build(registry.host, repo, tmp_path / "one", tool, "2") == [True, True]
