"""What others make of our archives: Docker, skopeo and umoci."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest
from support import ROOT, caches
from support.images import CREATED, MadeImage, make_image, tar_layer

from cachexport.content.verify import read_blob
from cachexport.images import open_docker_archive, parse_history, save_docker_archive
from cachexport.images.config.config import read_diff_ids
from cachexport.testing.services import environment, program

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.dockerd import Dockerd

NAME = "example/app:1"
EXAMPLE = ROOT / "examples" / "make_an_image.py"


@pytest.fixture
def image(tool: Path) -> MadeImage:
    """Give an image of a program and of a file on top of it."""
    return make_image(tar_layer({"bin/tool": tool.read_bytes()}), tar_layer({"etc/x": b"x" * 3000}))


@pytest.fixture
def archive(tmp_path: Path, image: MadeImage) -> Path:
    path = tmp_path / "app.tar"
    save_docker_archive(path, image.content, image.descriptor, names=[NAME])
    return path


def loaded(dockerd: Dockerd, archive: Path, name: str = NAME) -> dict[str, object]:
    assert f"Loaded image: {name}" in dockerd.run("load", "--input", str(archive))
    (found,) = json.loads(dockerd.run("image", "inspect", name))
    assert isinstance(found, dict)
    return found


def skopeo(folder: Path, *args: str) -> str:
    argv = [program("skopeo"), "--insecure-policy", *args]
    env = environment({"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)})
    done = subprocess.run(argv, env=env, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_docker_loads_the_image_that_was_written(
    dockerd: Dockerd, archive: Path, image: MadeImage
) -> None:
    found = loaded(dockerd, archive)
    config = read_blob(image.content, image.config)
    assert found["Id"] == image.config.digest
    assert found["RootFS"] == {"Type": "layers", "Layers": list(read_diff_ids(config))}
    assert found["Created"] == CREATED
    assert (found["Os"], found["Architecture"]) == ("linux", "amd64")
    told = dockerd.run("history", "--no-trunc", "--format={{.CreatedBy}}\t{{.Comment}}", NAME)
    wanted = [f"{e.created_by}\t{e.comment}" for e in reversed(parse_history(config) or ())]
    assert (
        told.splitlines()
        == wanted
        == [f"COPY <{number}> /\tbuildkit.exporter.image.v0" for number in (1, 0)]
    )


def test_docker_loads_buildkits_image_from_our_archive(dockerd: Dockerd, tmp_path: Path) -> None:
    theirs, ours = caches.FOLDER / "docker-archive.tar", tmp_path / "ours.tar"
    with open_docker_archive(theirs) as archive:
        (image,) = archive.images
        save_docker_archive(ours, archive, image.descriptor, names=image.names)
    wanted = loaded(dockerd, theirs)
    dockerd.prune_all()
    found = loaded(dockerd, ours)
    for same in ("Id", "RepoTags", "RootFS", "Created", "Config"):
        assert found[same] == wanted[same]


def test_docker_loads_the_image_of_the_example(dockerd: Dockerd, tmp_path: Path) -> None:
    path = tmp_path / "example.tar"
    subprocess.run([sys.executable, str(EXAMPLE), str(path)], check=True, capture_output=True)
    found = loaded(dockerd, path)
    assert isinstance(found["Config"], dict)
    assert found["Config"]["Cmd"] == ["/app.py"]


def test_an_image_with_dockers_media_types(dockerd: Dockerd, tool: Path, tmp_path: Path) -> None:
    image = make_image(tar_layer({"bin/tool": tool.read_bytes()}), oci_mediatypes=False)
    path = tmp_path / "docker.tar"
    save_docker_archive(path, image.content, image.descriptor, names=[NAME])
    assert loaded(dockerd, path)["Id"] == image.config.digest
    # By its tag skopeo finds only what has OCI's media type, but it reads the one that there is.
    for reference in (f"docker-archive:{path}:{NAME}", f"oci-archive:{path}"):
        raw = skopeo(tmp_path, "inspect", "--config", "--raw", reference)
        assert raw.encode() == read_blob(image.content, image.config)


def test_docker_runs_a_program_of_the_image(
    dockerd: Dockerd, archive: Path, tmp_path: Path
) -> None:
    loaded(dockerd, archive)
    options = ["--network=none", "--name=ran"]
    dockerd.run("run", *options, NAME, "/bin/tool", "/made", "by the program")
    try:
        dockerd.run("cp", "ran:/made", str(tmp_path / "made"))
        dockerd.run("cp", "ran:/etc/x", str(tmp_path / "x"))
    finally:
        dockerd.run("rm", "ran")
    assert (tmp_path / "made").read_text() == "by the program\n"
    assert (tmp_path / "x").read_bytes() == b"x" * 3000


def test_an_image_that_docker_saved_is_loaded_again(
    dockerd: Dockerd, archive: Path, image: MadeImage, tmp_path: Path
) -> None:
    loaded(dockerd, archive)
    saved, ours = tmp_path / "saved.tar", tmp_path / "ours.tar"
    dockerd.run("save", "--output", str(saved), NAME)
    dockerd.prune_all()
    with open_docker_archive(saved) as opened:
        (found,) = opened.images
        save_docker_archive(ours, opened, found.descriptor, names=found.names)
    assert loaded(dockerd, ours)["Id"] == image.config.digest


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_skopeo_reads_the_image(archive: Path, image: MadeImage, kind: str, tmp_path: Path) -> None:
    reference = NAME if kind == "docker-archive" else "1"
    raw = skopeo(tmp_path, "inspect", "--config", "--raw", f"{kind}:{archive}:{reference}")
    assert raw.encode() == read_blob(image.content, image.config)
    skopeo(tmp_path, "copy", f"{kind}:{archive}:{reference}", f"dir:{tmp_path / kind}")
    manifest = json.loads((tmp_path / kind / "manifest.json").read_bytes())
    assert manifest["config"]["digest"] == image.config.digest
    assert len(manifest["layers"]) == 2
    if kind == "oci-archive":
        raw_manifest = (tmp_path / kind / "manifest.json").read_bytes()
        assert raw_manifest == read_blob(image.content, image.descriptor)


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_skopeo_writes_is_read(
    archive: Path, image: MadeImage, kind: str, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs.tar"
    skopeo(tmp_path, "copy", f"oci-archive:{archive}:1", f"{kind}:{theirs}:{NAME}")
    ours = tmp_path / "ours.tar"
    with open_docker_archive(theirs) as opened:
        (found,) = opened.images
        save_docker_archive(ours, opened, found.descriptor, names=[NAME])
    raw = skopeo(tmp_path, "inspect", "--config", "--raw", f"docker-archive:{ours}:{NAME}")
    assert raw.encode() == read_blob(image.content, image.config)


def test_umoci_unpacks_the_same_tree(archive: Path, tool: Path, tmp_path: Path) -> None:
    layout, bundle = tmp_path / "layout", tmp_path / "bundle"
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as packed:
        packed.extractall(layout, filter="data")
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    argv = [program("umoci"), "unpack", *rootless, "--image", f"{layout}:1", str(bundle)]
    subprocess.run(argv, check=True, timeout=60, capture_output=True)
    root = bundle / "rootfs"
    tree = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert tree == {"bin/tool": tool.read_bytes(), "etc/x": b"x" * 3000}
