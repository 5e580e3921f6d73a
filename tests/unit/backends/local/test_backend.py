from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import (
    CACHES,
    LAYOUTS,
    copied,
    described,
    expect,
    export,
    ingest_all,
    load,
    process,
    put,
    source,
    target,
    tree,
)

from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.content.files import lock
from cachexport.content.protocols import InfoProvider, Ingester
from cachexport.errors import FailedPrecondition, Integrity, InvalidAttr, NotFound
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from pathlib import Path

EXPORT_UP_TO_THE_INDEX = """
import sys
from pathlib import Path
from cachexport.content.files import staged
from unit.backends.local.rig import export, load, target
commit = staged.StagedFile.commit
def stop(file, to):
    if to.name != "index.json":
        return commit(file, to)
    if sys.argv[3] == "after":
        commit(file, to)
    print("at the index", flush=True)
    sys.stdin.readline()
staged.StagedFile.commit = stop
export(load(src=sys.argv[1]), target(dest=sys.argv[2]))
"""


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_export_of_a_real_cache_is_the_same_directory(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "dest"
    export(load(src=CACHES / name), target(dest=directory))
    assert tree(directory) == tree(CACHES / name)
    assert not (directory / "index.json.lock").exists()


def test_a_second_export_adds_its_tag_and_what_is_missing(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    first, second = load(src=directory), load(src=CACHES / "multi-both")
    export(second, target(dest=directory, tag="second"))
    assert load(src=directory).wrapped == first.wrapped
    assert load(src=directory, tag="second").wrapped == second.wrapped
    assert load(src=directory, digest=first.wrapped.descriptor.digest).wrapped == first.wrapped


def test_a_manifest_that_was_not_ingested_is_not_named(tmp_path: Path) -> None:
    cache = load(src=CACHES / "max")
    to = target(dest=tmp_path / "dest")
    with pytest.raises(FailedPrecondition, match="yet"):
        to.publish(cache)
    to.close()
    assert not (tmp_path / "dest" / "index.json").exists()


def test_a_corrupt_blob_of_a_wrong_size_is_repaired_by_an_export(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    cache = load(src=CACHES / "max")
    Layout(directory).blob(cache.layers[2].digest).write_bytes(b"cut")
    export(cache, target(dest=directory))
    assert tree(directory) == tree(CACHES / "max")


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_export_killed_at_its_last_step_is_undone_or_done(tmp_path: Path, when: str) -> None:
    directory = copied("max", tmp_path / "dest")
    old, new = load(src=directory), load(src=CACHES / "min")
    with process(EXPORT_UP_TO_THE_INDEX, CACHES / "min", directory, when) as child:
        expect(child, "at the index")
        child.kill()
        child.wait()
    found = load(src=directory)
    assert found.wrapped == (old if when == "before" else new).wrapped
    export(new, target(dest=directory))
    assert load(src=directory).wrapped == new.wrapped
    assert not (directory / "index.json.lock").exists()


def test_everything_is_on_the_disk_before_it_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "dest"
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(fd: int) -> None:
        steps.append(f"sync {os.readlink(f'/proc/self/fd/{fd}')}")
        fsync(fd)

    def noted_replace(old: Path, new: Path) -> None:
        steps.append(f"rename {old} {new}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    export(load(src=CACHES / "min"), target(dest=directory))
    (named,) = (n for n, step in enumerate(steps) if step.endswith(f" {directory}/index.json"))
    renames = [step.split(f" {directory}/") for step in steps if step.startswith("rename")]
    assert len(renames) == 2 + len(tree(CACHES / "min")) - 2
    for step, (_, old, _) in zip(
        (step for step in steps if step.startswith("rename")), renames, strict=True
    ):
        assert steps.index(f"sync {directory}/{old}") < steps.index(step)
    last_blob = max(n for n, step in enumerate(steps) if f" {directory}/blobs/sha256/" in step)
    for folder in ("/blobs/sha256", "/blobs", ""):
        assert last_blob < steps.index(f"sync {directory}{folder}", last_blob) < named
    assert f"sync {directory}" in steps[named:]


def test_two_targets_of_one_directory_do_not_lock_each_other_out(tmp_path: Path) -> None:
    caches = {"a": load(src=CACHES / "max"), "b": load(src=CACHES / "min")}
    targets = {tag: target(dest=tmp_path / "dest", tag=tag) for tag in caches}
    for tag, cache in caches.items():
        ingest_all(cache, targets[tag])
    for tag, cache in caches.items():
        targets[tag].publish(cache)
        targets[tag].close()
    for tag, cache in caches.items():
        assert load(src=tmp_path / "dest", tag=tag).wrapped == cache.wrapped


def test_the_index_is_not_locked_during_an_export(tmp_path: Path) -> None:
    to = target(dest=tmp_path / "dest")
    cache = load(src=CACHES / "max")
    ingest_all(cache, to)
    with lock.held_and_removed(tmp_path / "dest" / "index.json.lock", timeout=0):
        pass
    to.publish(cache)
    to.close()


def test_a_directory_is_read_as_buildkit_reads_it(tmp_path: Path) -> None:
    """Unlike in an archive, the only entry is not taken for `latest`."""
    directory = copied("max", tmp_path / "src")
    names = Names(Layout(directory))
    names.publish("main", names.resolve("latest"))
    names.withdraw("latest")
    with pytest.raises(NotFound, match=r"no 'latest' in .*there is main"):
        source(src=directory).load()
    assert load(src=directory, tag="main").layers


def test_with_a_digest_no_index_is_needed(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "src")
    digest = load(src=directory).wrapped.descriptor.digest
    (directory / "index.json").unlink()
    (directory / "oci-layout").unlink()
    assert load(src=directory, digest=digest).layers
    with pytest.raises(NotFound, match=str(described(b"x").digest)):
        source(src=directory, digest=described(b"x").digest).load()
    with pytest.raises(NotFound):
        source(src=directory).load()


def test_what_does_not_exist_is_not_found(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(NotFound, match=str(path)):
            source(src=path).load()
        with pytest.raises(NotFound):
            _ = source(src=path).provider


def test_a_name_that_leads_nowhere_is_damaged(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "src")
    Names(Layout(directory)).publish("gone", described(b"gone", mediatype.OCI_MANIFEST))
    with pytest.raises(Integrity, match=f"leads nowhere.*{described(b'gone').digest}"):
        source(src=directory, tag="gone").load()


def test_a_directory_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Makefile").touch()
    with pytest.raises(FailedPrecondition, match="not an OCI image layout"):
        source(src=tmp_path).load()


def test_the_provider_is_the_one_of_the_caches(tmp_path: Path) -> None:
    for path in (CACHES / "max", CACHES / "inline-image.tar"):
        opened = source(src=path)
        (cache,) = opened.load()
        assert cache.provider is opened.provider
        assert isinstance(opened.provider, InfoProvider)
        opened.close()
        opened.close()


def test_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "src")
    before = sorted(directory.rglob("*"))
    load(src=directory)
    assert sorted(directory.rglob("*")) == before


def test_a_target_has_its_attributes(tmp_path: Path) -> None:
    to = target(dest=tmp_path / "x", mode="min", compression="zstd", reset="false")
    assert (to.common.mode, to.common.compression) == ("min", "zstd")
    ingester: Ingester = to.ingester
    assert ingester.missing([]) == set()
    to.close()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("make", "attrs", "name"),
    [
        (source, {}, "src"),
        (source, {"src": ""}, "src"),
        (source, {"src": "x", "digest": "sha256:zz"}, "digest"),
        (source, {"src": "x", "tag": ""}, "tag"),
        (source, {"src": "x", "tags": "a"}, "tags"),
        (target, {}, "dest"),
        (target, {"dest": "x", "reset": "perhaps"}, "reset"),
        (target, {"dest": "x", "tag": ""}, "tag"),
        (target, {"dest": "x", "mode": "mid"}, "mode"),
        (target, {"dest": "x", "destination": "y"}, "destination"),
    ],
)
def test_a_bad_attribute_is_named(make: object, attrs: dict[str, object], name: str) -> None:
    with pytest.raises(InvalidAttr) as caught:
        make(**attrs)  # type: ignore[operator]
    assert caught.value.name == name


def test_attributes_of_the_other_direction_are_noted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source(src="x", dest="y", mode="max", reset="true", compression="zstd")
    target(src="x", dest="y", digest="sha256:zz")
    for name in ("dest", "mode", "reset", "compression", "src", "digest"):
        assert f"attribute {name} has no effect here" in caplog.text


def test_importing_the_backend_imports_little() -> None:
    code = (
        "import sys, cachexport.backends.local\n"
        "print(*[m for m in ('tarfile', 'gzip', 'logging', 'tempfile') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=CACHES.parents[1],
    )
    assert done.stdout.strip() == ""


def test_the_package_exposes_the_backend() -> None:
    package = importlib.import_module("cachexport.backends.local")
    assert package.__all__ == ["backend"]


def test_blobs_of_images_beside_the_cache_stay(tmp_path: Path) -> None:
    directory = tmp_path / "dest"
    image = put(directory, b"{}", mediatype.OCI_INDEX)
    Names(Layout(directory)).publish("image", image)
    export(load(src=CACHES / "max"), target(dest=directory, reset="true"))
    assert Names(Layout(directory)).list() == ("image", "latest")
    assert Layout(directory).holds(image)
