from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import caches
from support.images import MadeImage, make_image, make_index, tar_layer
from unit.images.packing import archived, files_of, members, packed

from cachexport.content.verify import read_blob
from cachexport.errors import CachexportError, FailedPrecondition, Integrity, NotFound, WireFormat
from cachexport.images import open_docker_archive, save_docker_archive, write_docker_archive
from cachexport.oci.descriptor import Descriptor, Platform

if TYPE_CHECKING:
    from pathlib import Path

BUILDKITS = caches.FOLDER / "docker-archive.tar"
ARM64 = Platform(architecture="arm64", os="linux")


@pytest.fixture
def image() -> MadeImage:
    return make_image(tar_layer({"a": b"a"}), tar_layer({"b": b"b" * 2000}))


@pytest.fixture
def files(image: MadeImage) -> dict[str, bytes]:
    return files_of(archived(image, names=["example/app:1", "app"]))


def test_what_was_written_is_read(tmp_path: Path, image: MadeImage) -> None:
    path = tmp_path / "app.tar"
    save_docker_archive(path, image.content, image.descriptor, names=["example/app:1", "app"])
    with open_docker_archive(path) as archive:
        (found,) = archive.images
        assert found.names == ("docker.io/example/app:1", "docker.io/library/app:latest")
        assert found.descriptor.digest == image.descriptor.digest
        assert found.descriptor.platform == image.descriptor.platform
        assert (archive.manifest_mode, archive.place) == (0o444, str(path))
        for desc in (found.descriptor, image.config, *image.layers):
            assert archive.info(desc.digest).size == desc.size
            assert read_blob(archive, desc)
        again = tmp_path / "again.tar"
        save_docker_archive(again, archive, found.descriptor, names=found.names)
    assert again.read_bytes() == path.read_bytes()
    with pytest.raises(FailedPrecondition, match="closed"):
        archive.open(found.descriptor)


def test_an_archive_may_be_gzipped_or_packed_with_its_folder(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    path = packed(tmp_path / "app.tar", {f"./app/{name}": raw for name, raw in files.items()})
    path.write_bytes(gzip.compress(path.read_bytes()))
    with open_docker_archive(path) as archive:
        (found,) = archive.images
        assert read_blob(archive, found.descriptor)


def test_an_archive_of_a_layout_need_not_have_names(tmp_path: Path, image: MadeImage) -> None:
    files = files_of(archived(image))
    del files["manifest.json"]
    with open_docker_archive(packed(tmp_path / "oci.tar", files)) as archive:
        (found,) = archive.images
    assert (found.descriptor, found.names) == (image.descriptor, ())
    assert archive.manifest_mode == 0o444


def test_an_old_archive_is_read_and_written_as_a_new_one(tmp_path: Path, image: MadeImage) -> None:
    plain = [gzip.decompress(read_blob(image.content, layer)) for layer in image.layers]
    layers = {f"{number}/layer.tar": raw for number, raw in enumerate(plain)}
    config = read_blob(image.content, image.config)
    item = {"Config": "c.json", "RepoTags": ["example/app:1"], "Layers": list(layers)}
    files = {**layers, "c.json": config, "manifest.json": json.dumps([item]).encode()}
    target = io.BytesIO()
    with open_docker_archive(packed(tmp_path / "old.tar", files)) as archive:
        (found,) = archive.images
        assert found.names == ("docker.io/example/app:1",)
        write_docker_archive(target, archive, found.descriptor, names=found.names)
    new = members(target.getvalue())
    assert new[f"blobs/sha256/{image.config.digest.encoded}"][1] == config
    (saved,) = json.loads(new["manifest.json"][1] or b"")
    assert saved["RepoTags"] == ["example/app:1"]
    assert [new[name][1] for name in saved["Layers"]] == plain


def test_an_index_whose_other_platforms_were_left_out(tmp_path: Path) -> None:
    one, other = make_image(tar_layer({"a": b"a"})), make_image(platform=ARM64)
    root, content = make_index(one, other)
    files = files_of(archived(one))
    files[f"blobs/sha256/{root.digest.encoded}"] = read_blob(content, root)
    files["index.json"] = b'{"manifests":[%s]}' % root.encode().encode()
    with open_docker_archive(packed(tmp_path / "app.tar", files)) as archive:
        (found,) = archive.images
        written = write_docker_archive(
            io.BytesIO(), archive, found.descriptor, platform=one.descriptor.platform
        )
        assert written.digest == one.descriptor.digest
        with pytest.raises(NotFound, match=other.descriptor.digest):
            write_docker_archive(io.BytesIO(), archive, found.descriptor, platform=ARM64)


# Archives that mean harm.


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (special("/etc/passwd", tarfile.REGTYPE), "'/etc/passwd' leads out of the archive"),
        (special("../x", tarfile.REGTYPE), r"'../x' leads out of the archive"),
        (special("blobs/../../x", tarfile.REGTYPE), "leads out of the archive"),
        (special("blobs/..", tarfile.DIRTYPE), "leads out of the archive"),
        (special("x", tarfile.SYMTYPE, "/etc/passwd"), "link out of the archive, to '/etc/passwd'"),
        (special("a/x", tarfile.SYMTYPE, "../../x"), r"link out of the archive, to '../../x'"),
        (special("a/x", tarfile.LNKTYPE, "../x"), "link out of the archive"),
        (special("x", tarfile.LNKTYPE, "/etc/passwd"), "link out of the archive"),
        (special("x", tarfile.CHRTYPE), "'x' is neither a file nor a folder nor a link"),
        (special("x", tarfile.BLKTYPE), "neither a file nor a folder nor a link"),
        (special("x", tarfile.FIFOTYPE), "neither a file nor a folder nor a link"),
        (special("index.json", tarfile.REGTYPE), "'index.json' is there twice"),
        (special("./index.json", tarfile.REGTYPE), "'./index.json' is there twice"),
        (special("a//../index.json", tarfile.REGTYPE), "leads out of the archive"),
        (special("index.json", tarfile.SYMTYPE, "x"), "'index.json' is there twice"),
        (special("index.json", tarfile.DIRTYPE), "'index.json' is there twice"),
        (special("index.json/x", tarfile.REGTYPE), "'index.json/x' is in a folder that is a file"),
    ],
)
def test_members_that_must_not_be_there(
    tmp_path: Path, files: dict[str, bytes], member: tarfile.TarInfo, words: str
) -> None:
    path = packed(tmp_path / "bad.tar", files, member)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(WireFormat, match=words) as caught:
        open_docker_archive(path)
    assert str(path) in str(caught.value)
    assert set(os.listdir("/proc/self/fd")) == before
    assert [p.name for p in tmp_path.iterdir()] == ["bad.tar"]


def test_links_within_the_archive_are_followed(tmp_path: Path, files: dict[str, bytes]) -> None:
    files["elsewhere"] = files.pop("index.json")
    link = special("index.json", tarfile.SYMTYPE, "./elsewhere")
    with open_docker_archive(packed(tmp_path / "app.tar", files, link)) as archive:
        assert len(archive.images) == 1


def test_a_digest_that_lies_is_found_when_it_is_read(
    tmp_path: Path, files: dict[str, bytes], image: MadeImage
) -> None:
    name = f"blobs/sha256/{image.layers[1].digest.encoded}"
    files[name] = bytes(len(files[name]))
    with (
        open_docker_archive(packed(tmp_path / "bad.tar", files)) as archive,
        pytest.raises(Integrity, match=image.layers[1].digest),
    ):
        save_docker_archive(tmp_path / "app.tar", archive, archive.images[0].descriptor)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.tar"]


def changed(item: dict[str, object], **fields: object) -> bytes:
    return json.dumps([{**item, **fields}]).encode()


def test_lists_of_images_that_lead_out_or_differ(tmp_path: Path, files: dict[str, bytes]) -> None:
    (item,) = json.loads(files["manifest.json"])
    differing = [
        changed(item, Config="../../etc/passwd"),
        changed(item, Config="/etc/passwd"),
        changed(item, Layers=[item["Layers"][0]]),
        changed(item, Layers=["/etc/passwd", item["Layers"][0]]),
        json.dumps([item, {"Config": "index.json"}]).encode(),
    ]
    for raw in differing:
        path = packed(tmp_path / "bad.tar", {**files, "manifest.json": raw})
        with pytest.raises(WireFormat, match=r"names an image that index.json does not name"):
            open_docker_archive(path)


@pytest.mark.parametrize("config", ["/etc/passwd", "../../../../etc/passwd"])
def test_an_old_archive_that_leads_out(tmp_path: Path, config: str) -> None:
    raw = json.dumps([{"Config": config, "Layers": []}]).encode()
    with pytest.raises(WireFormat, match=f"{config} is not in "):
        open_docker_archive(packed(tmp_path / "bad.tar", {"manifest.json": raw}))


def test_an_index_that_names_what_is_not_there(
    tmp_path: Path, files: dict[str, bytes], image: MadeImage
) -> None:
    index = json.loads(files["index.json"])
    index["manifests"][0]["size"] += 1
    for change in ({"index.json": json.dumps(index).encode()}, {}):
        if not change:
            del files[f"blobs/sha256/{image.descriptor.digest.encoded}"]
        path = packed(tmp_path / "bad.tar", {**files, **change})
        with pytest.raises(WireFormat, match=r"index.json names sha256:.* which is not there"):
            open_docker_archive(path)


def test_a_name_that_is_none(tmp_path: Path, files: dict[str, bytes]) -> None:
    files["index.json"] = files["index.json"].replace(b"docker.io/example/app:1", b"UP:PER")
    with pytest.raises(WireFormat, match=r"bad.tar: not an image reference: 'UP:PER'"):
        open_docker_archive(packed(tmp_path / "bad.tar", files))


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="not an archive of an OCI image layout or of"):
        open_docker_archive(packed(tmp_path / "x.tar", {"Makefile": b"all:"}))
    with pytest.raises(NotFound):
        open_docker_archive(tmp_path / "gone.tar")


def test_a_cache_in_an_archive_is_no_image(tmp_path: Path) -> None:
    layout = caches.FOLDER / "max"
    files = {
        str(path.relative_to(layout)): path.read_bytes()
        for path in layout.rglob("*")
        if path.is_file()
    }
    with open_docker_archive(packed(tmp_path / "cache.tar", files)) as archive:
        (found,) = archive.images
        with pytest.raises(FailedPrecondition, match="is not an image: the type of its config"):
            write_docker_archive(io.BytesIO(), archive, found.descriptor)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
def test_any_damage_is_one_of_our_errors(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(BUILDKITS.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        header = data.draw(st.sampled_from(range(0, len(raw), 512)))
        raw[header + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.tar"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with suppress(CachexportError), open_docker_archive(path) as archive:
        for image in archive.images:
            target = io.BytesIO()
            write_docker_archive(target, archive, image.descriptor, names=image.names)
            # What passed is whole, whatever was done to the archive.
            assert (
                Descriptor.of(
                    members(target.getvalue())[f"blobs/sha256/{image.descriptor.digest.encoded}"][1]
                    or b"",
                    "",
                ).digest
                == image.descriptor.digest
            )
