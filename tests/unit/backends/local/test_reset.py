from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import (
    LAYOUTS,
    copied,
    described,
    export,
    ingest_all,
    load,
    put,
    source,
    target,
    tree,
)

from cachexport.backends.local.ingest import LayoutIngester
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.backends.local.target import delete_unreferenced
from cachexport.contract import reading
from cachexport.oci import mediatype

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport import Descriptor

LATER = 2**62


def blobs(directory: Path) -> set[str]:
    return {path.name for path in (directory / "blobs").rglob("*") if path.is_file()}


def clear(directory: Path, *, written_before: int = LATER) -> None:
    delete_unreferenced(Names(Layout(directory)), written_before=written_before)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_a_real_index_leads_to_stays(tmp_path: Path, name: str) -> None:
    directory = copied(name, tmp_path / name)
    before = blobs(directory)
    put(directory, b"stray")
    clear(directory)
    assert blobs(directory) == before


def test_an_export_with_reset_leaves_what_is_named_only(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    put(directory, b"stray")
    wanted = load(src=copied("min", tmp_path / "src"))
    export(wanted, target(dest=directory, reset="true"))
    assert blobs(directory) == blobs(tmp_path / "src")
    assert load(src=directory).wrapped == wanted.wrapped


def test_other_tags_keep_their_blobs(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    wanted = load(src=copied("multi-both", tmp_path / "src"))
    before = blobs(directory) | blobs(tmp_path / "src")
    export(wanted, target(dest=directory, tag="second", reset="true"))
    assert blobs(directory) == before


def test_without_reset_everything_stays(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    stray = put(directory, b"stray")
    export(load(src=copied("min", tmp_path / "src")), target(dest=directory))
    assert stray.digest.encoded in blobs(directory)


def test_indexes_of_indexes_are_followed(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    layout = Layout(directory)
    inner = Names(layout).resolve("latest")
    raw = b'{"mediaType":"%s","manifests":[%s]}' % (
        mediatype.OCI_INDEX.encode(),
        inner.encode().encode(),
    )
    outer = put(directory, raw, mediatype.OCI_INDEX)
    before = blobs(directory)
    Names(layout).publish("latest", outer)
    clear(directory)
    assert blobs(directory) == before


def test_an_index_that_names_itself_in_a_circle_is_followed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No real digests make a circle; a reader that does not check them stands in for one."""
    desc = put(tmp_path, b"x", mediatype.OCI_INDEX)
    read = b'{"mediaType":"%s","manifests":[%s]}' % (
        mediatype.OCI_INDEX.encode(),
        desc.encode().encode(),
    )
    monkeypatch.setattr(reading, "read_blob", lambda *_, **__: read)
    Names(Layout(tmp_path)).publish("latest", desc)
    clear(tmp_path)
    assert blobs(tmp_path) == {desc.digest.encoded}


@pytest.mark.parametrize("damage", ["removed", "corrupt", "other kind"])
def test_a_manifest_that_cannot_be_read_keeps_everything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    directory = copied("max", tmp_path / "dest")
    put(directory, b"stray")
    manifest = Names(Layout(directory)).resolve("latest")
    path = Layout(directory).blob(manifest.digest)
    if damage == "removed":
        path.unlink()
    elif damage == "corrupt":
        path.write_bytes(path.read_bytes().replace(b"2", b"3"))
    else:
        Names(Layout(directory)).publish("other", described(b"stray", "application/odd"))
    before = blobs(directory)
    clear(directory)
    assert blobs(directory) == before
    assert "not all that is unused was deleted" in caplog.text


def test_a_missing_layer_is_no_reason_to_stop(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    stray = put(directory, b"stray")
    layer = load(src=directory).layers[0]
    Layout(directory).blob(layer.digest).unlink()
    clear(directory)
    assert stray.digest.encoded not in blobs(directory)


def test_a_blob_that_is_newer_than_the_export_is_spared(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    old, new = put(directory, b"old"), put(directory, b"new")
    for desc, at in ((old, 10**18), (new, 10**18 + 1)):
        os.utime(Layout(directory).blob(desc.digest), ns=(at, at))
    before = blobs(directory)
    clear(directory, written_before=10**18)
    assert before - blobs(directory) == {old.digest.encoded}


def test_an_index_that_changes_meanwhile_keeps_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = copied("max", tmp_path / "dest")
    theirs = put(directory, b"{}", mediatype.OCI_INDEX)
    read_blob = reading.read_blob

    def publish_while_reading(*args: object, **attrs: object) -> bytes:
        Names(Layout(directory)).publish("theirs", theirs)
        return read_blob(*args, **attrs)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "read_blob", publish_while_reading)
    before = blobs(directory)
    clear(directory)
    assert blobs(directory) == before
    assert "changed meanwhile" in caplog.text


def test_while_another_export_is_running_nothing_is_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The other one has written blobs that nothing names yet; then it comes to its end."""
    directory = tmp_path / "dest"
    slow_cache = load(src=copied("max", tmp_path / "slow"))
    slow = target(dest=directory, tag="slow", reset="true")
    ingest_all(slow_cache, slow)
    fast = load(src=copied("multi-both", tmp_path / "fast"))
    export(fast, target(dest=directory, tag="fast", reset="true"))
    assert "not reset" in caplog.text
    slow.publish(slow_cache)
    slow.close()
    assert load(src=directory, tag="slow").wrapped == slow_cache.wrapped
    assert blobs(directory) == blobs(tmp_path / "slow") | blobs(tmp_path / "fast")


def test_what_was_found_present_is_not_deleted_by_a_parallel_reset(tmp_path: Path) -> None:
    """An export that has to write nothing still needs all its blobs until it has named them."""
    source = copied("max", tmp_path / "src")
    cache = load(src=source)
    directory = shutil.copytree(source, tmp_path / "dest")
    Names(Layout(directory)).withdraw("latest")
    slow = target(dest=directory)
    assert slow.ingester.missing(cache.layers) == set()
    export(load(src=copied("min", tmp_path / "m")), target(dest=directory, tag="b", reset="true"))
    slow.publish(cache)
    slow.close()
    assert set(tree(source)) - {"index.json"} <= set(tree(directory))


def test_after_a_reset_others_may_begin_at_once(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    cache = load(src=directory)
    resetting = target(dest=directory, reset="true")
    ingest_all(cache, resetting)
    resetting.publish(cache)
    LayoutIngester(Layout(directory), timeout=0).begin()
    resetting.close()


def manifests(*descs: Descriptor) -> bytes:
    listed = b",".join(desc.encode().encode() for desc in descs)
    return b'{"mediaType":"%s","manifests":[%s]}' % (mediatype.OCI_INDEX.encode(), listed)


def test_where_an_index_names_what_we_do_not_know_nothing_is_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = copied("max", tmp_path / "dest")
    needed = put(directory, b"needed by the artifact")
    artifact = put(
        directory, needed.encode().encode(), "application/vnd.oci.artifact.manifest.v1+json"
    )
    outer = put(directory, manifests(artifact), mediatype.OCI_INDEX)
    Names(Layout(directory)).publish("artifacts", outer)
    before = blobs(directory)
    clear(directory)
    assert blobs(directory) == before
    assert "unknown type" in caplog.text


def test_what_something_is_about_stays(tmp_path: Path) -> None:
    directory = copied("max", tmp_path / "dest")
    config, layer = put(directory, b"{}"), put(directory, b"layer")
    subject = put(directory, manifests(), mediatype.OCI_INDEX)
    raw = b'{"config":%s,"layers":[%s],"subject":%s}' % tuple(
        desc.encode().encode() for desc in (config, layer, subject)
    )
    Names(Layout(directory)).publish("signature", put(directory, raw, mediatype.OCI_MANIFEST))
    before = blobs(directory)
    stray = put(directory, b"stray")
    clear(directory)
    assert blobs(directory) == before
    assert stray.digest.encoded not in before


def test_a_reader_keeps_resets_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "dest"
    export(load(src=copied("max", tmp_path / "max")), target(dest=directory))
    reading = source(src=directory)
    reading.load()
    before = blobs(directory)
    export(load(src=copied("min", tmp_path / "min")), target(dest=directory, reset="true"))
    assert before <= blobs(directory)
    assert "not reset" in caplog.text
    reading.close()
    export(load(src=tmp_path / "min"), target(dest=directory, reset="true"))
    assert blobs(directory) == blobs(tmp_path / "min")
