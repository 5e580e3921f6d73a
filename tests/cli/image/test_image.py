"""`cachexport image`, from one end to the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli.image.stored import IMAGE, archive, content, described
from support import caches
from support.images import make_image, make_index, tar_layer
from unit.images.packing import files_of

from cachexport.images import open_docker_archive, save_oci_archive
from cachexport.images.store import Store
from cachexport.images.store.store import home_store
from cachexport.oci.descriptor import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.commands import InProcess

BUILDKITS = caches.FOLDER / "docker-archive.tar"
NAME = "docker.io/example/app:1"
OTHER = make_image(tar_layer({"c": b"3"}), platform=Platform(architecture="arm64", os="linux"))


def leases() -> list[str]:
    with Store.open(home_store(os.environ), clock=time.time) as store:
        return [lease.id for lease in store.leases.list()]


def test_buildkits_archive_is_loaded_and_saved_again(image: Callable[..., str]) -> None:
    assert image("load", str(BUILDKITS)) == f"{NAME}\n"
    image("save", "example/app:1", "-o", "again.tar")
    wanted, found = BUILDKITS.read_bytes(), Path("again.tar").read_bytes()
    with open_docker_archive("again.tar") as again:
        assert again.images[0].names == (NAME,)
    assert files_of(found) == files_of(wanted)


def test_images_are_listed_removed_and_pruned(image: Callable[..., str], folder: Path) -> None:
    image("load", archive("app.tar", "app:1", "app:2"))
    assert image("load", archive("nameless.tar")) == f"moby-dangling@{IMAGE.descriptor.digest}\n"
    heading, *rows = image("ls").splitlines()
    assert heading.split() == ["NAME", "DIGEST", "AGE", "SIZE", "PLATFORMS"]
    assert [row.split()[0] for row in rows] == [
        "docker.io/library/app:1",
        "docker.io/library/app:2",
        f"moby-dangling@{IMAGE.descriptor.digest}",
    ]
    assert all(row.endswith("linux/amd64") for row in rows)
    listed = json.loads(image("ls", "--format", "json"))["images"]
    assert listed[0]["digest"] == IMAGE.descriptor.digest
    assert listed[0]["size"] == sum(map(len, IMAGE.blobs))
    assert image("rm", "app:1", "app:2").split() == [
        "docker.io/library/app:1",
        "docker.io/library/app:2",
    ]
    told = image("prune", "--dry-run")
    assert told.splitlines()[1].startswith("would free 4 blobs, ")
    assert len(content(folder)) == 4
    assert image("prune") == told.replace("would free", "freed")
    assert content(folder) == []
    assert image("prune") == "freed 0 blobs, 0 B\n"


def test_prune_spares_names_unless_all_is_meant(image: Callable[..., str], folder: Path) -> None:
    image("load", archive("app.tar", "app:1"))
    with Store.open(folder / "store", clock=lambda: 0) as store:
        store.leases.create(seconds=1)
        held = store.leases.create()
    assert image("prune") == "freed 0 blobs, 0 B\nremoved 1 expired lease\n"
    with Store.open(folder / "store", clock=time.time) as store:
        store.leases.add(held.id, IMAGE.layers[0].digest)
    assert image("prune", "--all").splitlines()[0] == "docker.io/library/app:1"
    assert content(folder) == [IMAGE.layers[0].digest]


def test_rm_takes_nothing_away_when_a_name_is_not_there(
    run: InProcess, image: Callable[..., str]
) -> None:
    image("load", archive("app.tar", "app:1"))
    ran = run("image", "rm", "app:1", "app:none")
    assert (ran.code, ran.out) == (66, "")
    assert "there is no image 'app:none'" in ran.err
    assert "app:1" in image("ls")


def test_an_image_has_several_names_in_an_archive(
    image: Callable[..., str], run: InProcess
) -> None:
    image("load", archive("app.tar", "app:1", "app:2"))
    image("save", "app:1", "app:2", "-o", "both.tar")
    assert leases() == []
    with open_docker_archive("both.tar") as saved:
        assert [len(found.names) for found in saved.images] == [2]
    digits = IMAGE.descriptor.digest.encoded[:12]
    image("save", digits, "-o", "nameless.tar")
    with open_docker_archive("nameless.tar") as saved:
        assert [found.names for found in saved.images] == [()]
    image("load", str(BUILDKITS))
    ran = run("image", "save", "app:1", "example/app:1", "-o", "x.tar")
    assert (ran.code, Path("x.tar").exists()) == (2, False)
    assert "are different images" in ran.err


def test_archives_go_through_pipes(image: Callable[..., str], folder: Path) -> None:
    image("load", archive("app.tar", "app:1"))
    out = folder / "out.tar"
    with out.open("wb") as file:
        argv = [sys.executable, "-m", "cachexport", "image", "save", "app:1"]
        subprocess.run(argv, stdout=file, check=True)
        assert out.read_bytes() == Path("app.tar").read_bytes()
        argv[-2:] = ["load", "--store", "other", "-"]
        done = subprocess.run(argv, input=out.read_bytes(), capture_output=True, check=True)
    assert done.stdout == b"docker.io/library/app:1\n"
    assert "app:1" in image("ls", "--store", "other")


TO_STDOUT = ("save app:1", "append --base app:1 --output type=oci,dest=-")


@pytest.mark.parametrize(
    ("to", "said"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")]
)
def test_an_archive_that_cannot_be_written(image: Callable[..., str], to: str, said: str) -> None:
    image("load", archive("app.tar", "app:1"))
    for words in TO_STDOUT:
        command = f"{sys.executable} -m cachexport image {words} --progress quiet {to}"
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
        error = f"cachexport: error: cannot write stdout: {said}\n"
        assert (done.returncode, done.stderr) == (74, error)


def test_an_archive_that_nobody_reads(image: Callable[..., str]) -> None:
    image("load", archive("app.tar", "app:1"))
    for words in TO_STDOUT:
        argv = [sys.executable, "-m", "cachexport", "image", *words.split(), "--progress=quiet"]
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True)
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, "")


def test_an_archive_is_not_written_to_a_terminal(
    image: Callable[..., str], run: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    image("load", archive("app.tar", "app:1"))
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    ran = run("image", "save", "app:1")
    assert ran.code == 2
    assert "use -o FILE" in ran.err


def test_outputs_of_save(image: Callable[..., str], run: InProcess) -> None:
    image("load", archive("app.tar", "app:1"))
    image("save", "app:1", "-o", "type=oci,dest=layout,tar=false")
    assert Path("layout/oci-layout").exists()
    changes = "compression=zstd,force-compression=true"
    image("save", "app:1", "-o", f"type=store,name=app:zstd,{changes}")
    (found,) = described(image, "app:zstd")
    assert {layer["media_type"].rpartition("+")[2] for layer in found["layers"]} == {"zstd"}
    ran = run("image", "save", "app:1", "-o", "type=tar,dest=x")
    assert ran.code == 2
    assert "no image can be written as type=tar (known: docker, oci, registry" in ran.err


def test_what_is_in_an_image(image: Callable[..., str]) -> None:
    image("load", str(BUILDKITS))
    (found,) = described(image, "example/app:1")
    assert (found["name"], found["platform"]) == (NAME, "linux/amd64")
    with open_docker_archive(BUILDKITS) as opened:
        assert found["manifest"]["digest"] == opened.images[0].descriptor.digest
    assert all(layer["diff_id"].startswith("sha256:") for layer in found["layers"])
    assert len([e for e in found["history"] if not e["empty_layer"]]) == len(found["layers"])
    shown = image("inspect", "example/app:1")
    assert "platform:" in shown
    assert found["config"]["digest"] in shown
    assert described(image, str(BUILDKITS)) == [found]


def test_an_index_shows_all_of_its_images(image: Callable[..., str]) -> None:
    root, blobs = make_index(IMAGE, OTHER)
    save_oci_archive("multi.tar", blobs, root, names=["multi"])
    image("load", "multi.tar")
    found = described(image, "multi")
    assert [item["platform"] for item in found] == ["linux/amd64", "linux/arm64"]
    assert len(image("inspect", "multi").split("\n\n")) == 4
    image("save", "multi", "--platform", "arm64", "-o", "arm.tar")
    assert described(image, "arm.tar")[0]["config"]["digest"] == OTHER.config.digest
    assert "linux/amd64, linux/arm64" in image("ls")


def test_what_cannot_be_found(run: InProcess) -> None:
    Path("no.tar").write_bytes(b"no archive at all, whatever its name says")
    for args, code, problem in (
        (["inspect", "no.tar"], 70, "neither a directory nor a tar archive"),
        (["save", "app", "-o", "x"], 66, "there is no image 'app'"),
        (["push", "app"], 66, "there is no image 'app'"),
        (["load", "none.tar"], 66, "none.tar"),
        (
            ["pull", "type=s3,bucket=b,region=r", "--name", "x"],
            69,
            "has build caches, but no images",
        ),
        (["pull", "type=local,src=none", "--name", "x"], 66, "none"),
        (["pull", "type=local,src=none"], 2, "say what to name the image"),
    ):
        ran = run("image", *args)
        assert (ran.code, ran.out) == (code, ""), ran.err
        assert problem in ran.err


def test_what_a_local_layout_has_is_pulled(image: Callable[..., str]) -> None:
    image("load", archive("app.tar", "app:1"))
    image("save", "app:1", "-o", "type=oci,dest=layout,tar=false")
    spec = "type=local,src=layout,tag=docker.io/library/app:1"
    pulled = image("pull", spec, "--name", "copied")
    assert pulled == f"docker.io/library/copied:latest {IMAGE.descriptor.digest}\n"


def test_it_says_what_is_wrong_with_a_store(run: InProcess) -> None:
    Path("full").mkdir()
    Path("full/file").write_text("x")
    ran = run("image", "ls", "--store", "full")
    assert (ran.code, ran.out) == (70, "")
    assert "is not empty and no store" in ran.err
