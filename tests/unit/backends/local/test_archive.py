from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.backends.local.rig import CACHES, described, load, source

from cachexport.content.verify import read_blob
from cachexport.errors import (
    BackendError,
    CachexportError,
    FailedPrecondition,
    NotFound,
    WireFormat,
)
from cachexport.images.archive import tarfiles
from cachexport.images.archive.read import open_archive
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.index import IMAGE_NAME

if TYPE_CHECKING:
    from pathlib import Path

INLINE = CACHES / "inline-image.tar"
DOCKER = CACHES / "docker-archive.tar"


def packed(to: Path, files: dict[str, bytes | str]) -> Path:
    """Write a tar; a text is where a symbolic link leads to."""
    with tarfile.open(to, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return to


def layout_files(name: str, prefix: str = "") -> dict[str, bytes | str]:
    directory = CACHES / name
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {f"{prefix}{path.relative_to(directory)}": path.read_bytes() for path in paths}


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return packed(tmp_path / "max.tar", layout_files("max"))


def test_an_archive_of_a_layout_has_the_same_cache(tar: Path) -> None:
    plain, archived = load(src=CACHES / "max"), load(src=tar)
    assert archived.wrapped == plain.wrapped
    for desc in archived.layers:
        assert read_blob(archived.provider, desc) == read_blob(plain.provider, desc)


def test_names_may_begin_with_a_point(tmp_path: Path) -> None:
    tar = packed(tmp_path / "max.tar", layout_files("max", "./"))
    assert load(src=tar).wrapped == load(src=CACHES / "max").wrapped


def test_a_gzipped_archive_has_the_same_cache(tar: Path) -> None:
    tar.write_bytes(gzip.compress(tar.read_bytes()))
    cache = load(src=tar)
    assert cache.wrapped == load(src=CACHES / "max").wrapped
    for desc in cache.layers:
        read_blob(cache.provider, desc)


def test_an_image_with_an_inline_cache(tmp_path: Path) -> None:
    (cache,) = source(src=INLINE).load()
    assert (len(cache.layers), len(cache.config.records)) == (6, 16)
    for desc in cache.layers:
        read_blob(cache.provider, desc)


def test_buildkits_docker_archive_is_read_by_any_of_its_names() -> None:
    archive = open_archive(DOCKER)
    (entry,) = archive.index.manifests
    assert entry.annotations[IMAGE_NAME] == "docker.io/example/app:1"
    assert archive.info(entry.digest).size == entry.size
    archive.close()
    for attrs in ({}, {"tag": "1"}, {"tag": "docker.io/example/app:1"}, {"digest": entry.digest}):
        assert source(src=DOCKER, **attrs).load() == ()
    with pytest.raises(NotFound, match=r"no 'latest'.*there is docker.io/example/app:1"):
        source(src=DOCKER, tag="latest").load()


def test_without_tag_several_images_are_not_guessed_at(tmp_path: Path) -> None:
    files = layout_files("max")
    index = json.loads(files["index.json"])
    (first,) = index["manifests"]
    first["annotations"] = {IMAGE_NAME: "a"}
    second = first | {"annotations": {IMAGE_NAME: "b"}}
    index["manifests"] = [first, second]
    files["index.json"] = json.dumps(index).encode()
    assert load(src=packed(tmp_path / "same.tar", files)).layers
    second["digest"] = described(b"other").digest
    files["index.json"] = json.dumps(index).encode()
    with pytest.raises(NotFound, match="there is a, b"):
        source(src=packed(tmp_path / "two.tar", files)).load()


def test_an_absent_blob_is_named_with_the_archive(tar: Path) -> None:
    archive = open_archive(tar)
    absent = described(b"absent")
    for call in (lambda: archive.open(absent), lambda: archive.info(absent.digest)):
        with pytest.raises(NotFound) as caught:
            call()
        assert absent.digest in str(caught.value)
        assert str(tar) in str(caught.value)
    archive.close()


def test_a_stream_outlives_the_archive_and_nothing_stays_open(tar: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    archive = open_archive(tar)
    entry = archive.index.manifests[0]
    with closing(archive.open(entry)) as reader:
        archive.close()
        archive.close()
        assert len(reader.read(10**6)) == entry.size
    with pytest.raises(FailedPrecondition, match="closed"):
        archive.open(entry)
    del archive
    archive = open_archive(tar)
    del archive
    assert set(os.listdir("/proc/self/fd")) == before


def test_tricks_with_names_lead_nowhere(tmp_path: Path) -> None:
    raw = b"content"
    digest = described(raw).digest
    files: dict[str, bytes | str] = dict(layout_files("max"))
    files |= {f"../blobs/sha256/{digest.encoded}": raw, f"/blobs/sha256/{digest.encoded}": raw}
    files |= {f"blobs/sha256/{digest.encoded}": "/etc/passwd", "blobs/x/../../index.json": b"{}"}
    cache = load(src=packed(tmp_path / "tricks.tar", files))
    assert cache.wrapped == load(src=CACHES / "max").wrapped
    with pytest.raises(NotFound):
        cache.provider.open(described(raw))


@pytest.mark.parametrize("content", [b"", b"text", b"\0" * 10, bytes(range(256)) * 10])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(FailedPrecondition, match="neither a directory nor a tar"):
        source(src=path).load()


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="not an archive of an OCI image layout"):
        source(src=packed(tmp_path / "x.tar", {"Makefile": b"all:"})).load()


def test_the_directory_itself_may_be_packed() -> None:
    (cache,) = source(src=CACHES / "wide.tar.gz").load()
    assert len(cache.config.layers) == 600


@pytest.mark.parametrize(
    ("magic", "command"), [(b"\x28\xb5\x2f\xfd", "zstd -d"), (b"\xfd7zXZ\0", "unxz")]
)
def test_another_compression_says_how_to_go_on(tmp_path: Path, magic: bytes, command: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(magic + bytes(100))
    with pytest.raises(FailedPrecondition, match=command):
        source(src=path).load()


def test_a_device_is_refused() -> None:
    with pytest.raises(FailedPrecondition, match="regular file"):
        source(src="/dev/null").load()


@pytest.mark.parametrize("cut", [20, 1000, -8])
def test_a_cut_gzip_is_damaged(tar: Path, cut: int) -> None:
    tar.write_bytes(gzip.compress(tar.read_bytes())[:cut])
    with pytest.raises(WireFormat, match="damaged gzip"):
        source(src=tar).load()


def test_a_gzip_with_a_wrong_checksum_is_damaged(tar: Path) -> None:
    raw = bytearray(gzip.compress(tar.read_bytes()))
    raw[-6] ^= 1
    tar.write_bytes(raw)
    with pytest.raises(WireFormat, match="damaged gzip"):
        source(src=tar).load()


def test_a_gzip_is_not_unpacked_without_end(tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar.write_bytes(gzip.compress(tar.read_bytes()))
    monkeypatch.setattr(tarfiles, "UNPACKED_LIMIT", 1000)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(FailedPrecondition, match="over 1000 bytes"):
        source(src=tar).load()
    assert set(os.listdir("/proc/self/fd")) == before


def test_no_room_to_unpack_is_said(tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar.write_bytes(gzip.compress(tar.read_bytes()))
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(tarfiles.tempfile, "TemporaryFile", lambda **_: full)
        with pytest.raises(BackendError, match="disk full"):
            source(src=tar).load()


def test_an_index_that_is_too_large_is_refused(tar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarfiles, "METADATA_LIMIT", 100)
    with pytest.raises(WireFormat, match=r"index.json is too large"):
        source(src=tar).load()


def test_a_broken_index_names_archive_and_place(tmp_path: Path) -> None:
    tar = packed(tmp_path / "x.tar", {"index.json": b'{"manifests":[{"digest":"x"}]}'})
    with pytest.raises(WireFormat, match=str(tar)) as caught:
        source(src=tar).load()
    assert caught.value.path == "manifests[0].digest"


def test_a_cut_archive_is_damaged(tar: Path) -> None:
    os.truncate(tar, 3000)
    with pytest.raises(CachexportError):
        source(src=tar).load()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_any_damage_is_one_of_our_errors(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(DOCKER.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        header = data.draw(st.sampled_from(range(0, len(raw), 512)))
        raw[header + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.tar"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with suppress(CachexportError):
        source(src=path).load()


# Archives as `docker save` wrote them before it wrote layouts.


def saved(tmp_path: Path, *, layer_of: dict[str, str] | None = None) -> Path:
    """Make one of the image with the inline cache, its layers unpacked."""
    (cache,) = source(src=INLINE).load()
    archive = open_archive(INLINE)
    manifest = json.loads(read_blob(archive, archive.index.manifests[0]))
    config = read_blob(archive, Descriptor.decode(manifest["config"]))
    files: dict[str, bytes | str] = {"config.json": config}
    names: list[str] = []
    for number, desc in enumerate(cache.layers):
        names.append(f"{number}/layer.tar")
        files[names[-1]] = gzip.decompress(read_blob(cache.provider, desc))
    for name, content in (layer_of or {}).items():
        files[f"elsewhere/{name}"] = files[name]
        files[name] = content
    item = {"Config": "config.json", "RepoTags": ["example/app:1"], "Layers": names}
    files["manifest.json"] = json.dumps([item]).encode()
    return packed(tmp_path / "saved.tar", files)


def test_an_old_docker_archive_has_the_inline_cache(tmp_path: Path) -> None:
    (wanted,) = source(src=INLINE).load()
    for attrs in ({}, {"tag": "1"}, {"tag": "example/app:1"}):
        (found,) = source(src=saved(tmp_path), **attrs).load()
        assert found.config.records == wanted.config.records
        assert [d.diff_id for d in found.layers] == [d.diff_id for d in wanted.layers]
    for desc in found.layers:
        assert desc.digest == desc.diff_id
        read_blob(found.provider, desc)


def test_layers_that_are_links_are_followed(tmp_path: Path) -> None:
    links = {"1/layer.tar": "../elsewhere/1/layer.tar"}
    (found,) = source(src=saved(tmp_path, layer_of=links)).load()
    for desc in found.layers:
        read_blob(found.provider, desc)


def test_compressed_layers_are_hashed(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    packed_layers = {
        name: gzip.compress(raw) if name.endswith("layer.tar") else raw
        for name, raw in files.items()
    }
    (found,) = source(src=packed(path, packed_layers)).load()
    for desc in found.layers:
        assert desc.media_type.endswith("+gzip")
        assert gzip.decompress(read_blob(found.provider, desc))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"[{", "not JSON"),
        (b"{}", "wants an array"),
        (b'[{"Config":3}]', r"manifest.json\[0\].Config"),
        (b'[{"Config":"gone"}]', "gone is not in"),
        (b'[{"Config":"config.json","Layers":["x"]}]', "1 layers and 0 diff IDs"),
        (b'[{"Config":"odd.json","Layers":["x"]}]', "not a digest"),
        (b'[{"Config":"one.json","Layers":["x"]}]', "x is not in"),
    ],
)
def test_a_damaged_docker_archive_is_an_error(tmp_path: Path, manifest: bytes, words: str) -> None:
    one = json.dumps({"rootfs": {"diff_ids": [described(b"x").digest]}}).encode()
    files: dict[str, bytes | str] = {
        "manifest.json": manifest,
        "config.json": b"{}",
        "odd.json": b'{"rootfs":{"diff_ids":["x"]}}',
        "one.json": one,
    }
    path = packed(tmp_path / "x.tar", files)
    with pytest.raises(WireFormat, match=words) as caught:
        source(src=path).load()
    assert str(path) in str(caught.value)


def test_images_without_name_can_be_read_too(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"manifest.json": b'[{"Config":"c"}]', "c": b"{}"}
    assert source(src=packed(tmp_path / "x.tar", files)).load() == ()
