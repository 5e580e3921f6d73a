"""`cachexport image append`."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli.image.stored import IMAGE, archive, described
from support.images import tar_layer

from cachexport.content.verify import read_blob
from cachexport.images import open_docker_archive, select_image
from cachexport.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.commands import InProcess


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
