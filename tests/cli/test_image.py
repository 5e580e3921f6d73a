"""`cachexport image`, from one end to the other."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import caches
from support.images import make_image, make_index, tar_layer
from unit.image.packing import files_of, packed

from cachexport.content.verify import read_blob
from cachexport.image import (
    open_docker_archive,
    save_docker_archive,
    save_oci_archive,
    select_image,
)
from cachexport.oci.descriptor import Platform
from cachexport.store import Store
from cachexport.store.home import home_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.commands import InProcess

BUILDKITS = caches.FOLDER / "docker-archive.tar"
NAME = "docker.io/example/app:1"
IMAGE = make_image(tar_layer({"a": b"1"}), tar_layer({"b": b"2" * 9000}))
OTHER = make_image(tar_layer({"c": b"3"}), platform=Platform(architecture="arm64", os="linux"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CACHEXPORT_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def image(run: InProcess) -> Callable[..., str]:
    """Run `cachexport image …`, which has to succeed, and give what it answers."""

    def image(*args: str) -> str:
        ran = run("image", *args)
        assert ran.code == 0, ran.err
        return ran.out

    return image


def archive(path: str | Path, *names: str) -> str:
    save_docker_archive(Path(path), IMAGE.content, IMAGE.descriptor, names=names)
    return str(path)


def content(folder: Path) -> list[str]:
    with Store.open(folder / "store", clock=time.time) as store:
        return [info.digest for info in store.content.list()]


def leases() -> list[str]:
    with Store.open(home_store(os.environ), clock=time.time) as store:
        return [lease.id for lease in store.leases.list()]


def described(image: Callable[..., str], *args: str) -> Any:
    return json.loads(image("inspect", *args, "--format", "json"))["images"]


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


def test_layers_are_appended_to_nothing(image: Callable[..., str]) -> None:
    Path("dist/sub").mkdir(parents=True)
    Path("dist/run").write_text("#!/bin/sh\n")
    Path("dist/sub/x").write_text("x")
    made = image(
        *("append", "--layer", "dist:/app", "--layer", f"{Path.cwd()}/dist/run:/bin/"),
        *("--name", "app:1"),
        *("--entrypoint", "/app/run -v", "--cmd", '["a b"]', "--env", "A=1=2", "--label", "l="),
        *("--workdir", "/app", "--user", "1000", "--platform", "linux/arm64"),
    )
    (found,) = described(image, "app:1")
    assert (found["manifest"]["digest"], found["platform"]) == (made.strip(), "linux/arm64")
    settings = found["settings"]
    assert settings["Entrypoint"] == ["/app/run", "-v"]
    assert (settings["Cmd"], settings["User"], settings["WorkingDir"]) == (["a b"], "1000", "/app")
    assert settings["Env"][-1] == "A=1=2"
    assert settings["Labels"] == {"l": ""}
    assert [entry["created_by"] for entry in found["history"]][:2] == [
        "COPY dist /app",
        "COPY run /bin/",
    ]
    assert [entry["empty_layer"] for entry in found["history"]] == [False, False, True]
    assert found["created"] is None


def layer_names(path: str) -> list[list[str]]:
    with open_docker_archive(path) as opened:
        found = select_image(opened, opened.images[0].descriptor)
        raws = [gzip.decompress(read_blob(opened, layer)) for layer in found.layers]
    return [tarfile.open(fileobj=io.BytesIO(raw)).getnames() for raw in raws]


def test_layers_are_appended_to_an_archive_and_the_same_every_time(
    image: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    Path("dist").mkdir()
    Path("dist/x").write_text("x")
    Path("layer.tar.gz").write_bytes(gzip.compress(tar_layer({"from/tar": b"t"})))
    archive("base.tar")
    answers = []
    for number in (1, 2):
        Path("dist/x").touch()
        args = ["--base", "base.tar", "--layer", "dist", "--layer", "layer.tar.gz"]
        answers.append(image("append", *args, "-o", f"type=docker,dest={number}.tar,name=a"))
    assert answers[0] == answers[1]
    assert Path("1.tar").read_bytes() == Path("2.tar").read_bytes()
    assert layer_names("1.tar") == [["a"], ["b"], ["x"], ["from/tar"]]
    (found,) = described(image, "1.tar")
    assert [layer["digest"] for layer in found["layers"]][:2] == [d.digest for d in IMAGE.layers]
    assert found["created"] == "2023-11-14T22:13:20Z"
    assert [entry["created_by"] for entry in found["history"]][2:] == [
        "COPY dist /",
        "ADD layer.tar.gz",
    ]
    assert image("ls").splitlines()[1:] == []


def test_settings_alone_are_changed(image: Callable[..., str]) -> None:
    image("load", archive("app.tar", "app:1"))
    image("append", "--base", "app:1", "--user", "me", "--name", "app:2")
    (before,), (after,) = described(image, "app:1"), described(image, "app:2")
    assert before["layers"] == after["layers"]
    assert after["settings"] == {**before["settings"], "User": "me"}


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--layer", "no.txt"], "is no tar archive, so no layer"),
        (["--layer", "dist:/../x"], "leads upwards"),
        (["--layer", ":/x"], "names no file or directory"),
        (["--entrypoint", "[1]"], "has what is no text"),
        (["--entrypoint", "'"], "No closing quotation"),
        (["--env", "=x"], "is not KEY=VALUE"),
        (["--layer", "none"], "none"),
    ],
)
def test_what_cannot_be_appended(
    run: InProcess, folder: Path, args: list[str], problem: str
) -> None:
    Path("dist").mkdir()
    Path("no.txt").write_text("no archive" * 200)
    ran = run("image", "append", *args, "--name", "app")
    assert (ran.code in (2, 66), ran.out) == (True, ""), ran.err
    assert problem in ran.err
    if (folder / "store").exists():
        with Store.open(folder / "store", clock=time.time) as store:
            assert (store.images.list(), store.leases.list()) == ([], [])
            store.collect_garbage()
            assert store.content.list() == []


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def lying(files: dict[str, bytes]) -> dict[str, bytes]:
    name = max((n for n in files if n.startswith("blobs/")), key=lambda n: len(files[n]))
    return {**files, name: b"x" * len(files[name])}


def pointing_out(files: dict[str, bytes]) -> dict[str, bytes]:
    (saved,) = json.loads(files["manifest.json"])
    saved["Layers"][0] = "../outside"
    without_index = {name: raw for name, raw in files.items() if name != "index.json"}
    return {**without_index, "manifest.json": json.dumps([saved]).encode()}


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (dict, [member("../outside")]),
        (dict, [member("/outside")]),
        (dict, [member("a/../../outside")]),
        (dict, [member("link", tarfile.SYMTYPE, "../../outside")]),
        (dict, [member("link", tarfile.LNKTYPE, "/outside")]),
        (dict, [member("device", tarfile.CHRTYPE)]),
        (dict, [member("index.json")]),
        (lying, []),
        (pointing_out, []),
        (lambda files: {k: v for k, v in files.items() if "blobs" not in k}, []),
        (lambda files: {**files, "index.json": b"{"}, []),
    ],
)
def test_an_archive_that_means_harm_leaves_nothing(
    run: InProcess, folder: Path, change: Any, more: list[tarfile.TarInfo]
) -> None:
    files = files_of(Path(archive("good.tar", "app:1")).read_bytes())
    bad = packed(folder / "bad.tar", change(files), *more)
    before = sorted(path.name for path in folder.parent.iterdir())
    ran = run("image", "load", str(bad))
    assert (ran.code in (65, 70), ran.out) == (True, ""), ran.err
    assert len(ran.errors) == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == before
    with Store.open(folder / "store", clock=time.time) as store:
        assert (store.images.list(), store.leases.list()) == ([], [])
    run("image", "prune")
    assert content(folder) == []
    left = {path.name for path in (folder / "store").rglob("*") if path.is_file()}
    assert left <= {"index.db", "index.db-wal", "index.db-shm", "opening.lock"}


def test_it_says_what_is_wrong_with_a_store(run: InProcess) -> None:
    Path("full").mkdir()
    Path("full/file").write_text("x")
    ran = run("image", "ls", "--store", "full")
    assert (ran.code, ran.out) == (70, "")
    assert "is not empty and no store" in ran.err
