"""A real BuildKit's caches through a local directory: the same bytes, the same meaning."""

import json
import os
import random
import shutil
import stat
from dataclasses import replace

import pytest
from support import caches

from cachexport import (
    CacheChains,
    Descriptor,
    Digest,
    Timestamp,
    copy_cache,
    encode_inline,
    export_cache,
    import_cache,
    load_cache,
)
from cachexport.errors import CachexportError
from cachexport.model.chains.tie import TIE, untied
from cachexport.model.envelope.manifest import (
    Form,
    encode_manifest,
)
from cachexport.oci import mediatype
from cachexport.oci.compression import Compression
from cachexport.testing.meaning import difference

FORMS = {
    "image-manifest": "image-manifest=true,oci-mediatypes=true",
    "oci-index": "image-manifest=false,oci-mediatypes=true",
    "docker-list": "oci-mediatypes=false",
}


def source(name):
    return f"type=local,src={caches.FOLDER / name}"


def copy(sources, folder, attrs=""):
    target = f"type=local,dest={folder}" + (attrs and f",{attrs}")
    [answer] = copy_cache([sources] if isinstance(sources, str) else sources, [target])
    return Descriptor.decode(json.loads(answer.response["cache.manifest"]))


def config(spec):
    [cache] = load_cache(spec)
    return cache.config


def test_the_caches_are_all_there():
    assert len(caches.LAYOUTS) == 12


@pytest.mark.parametrize("name", caches.LAYOUTS)
def test_a_copy_has_the_same_files(name, tmp_path):
    copy(source(name), tmp_path / "one")
    copy(f"type=local,src={tmp_path / 'one'}", tmp_path / "two")
    expected = caches.files(caches.FOLDER / name)
    assert caches.files(tmp_path / "one") == caches.files(tmp_path / "two") == expected
    for path in (tmp_path / "one" / "blobs" / "sha256").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert [
        name
        for _, _, names in os.walk(tmp_path / "one" / "ingest")
        for name in names
        if not name.endswith(".lock")
    ] == []


def test_a_wide_cache_is_copied_as_it_is(tmp_path):
    wide = caches.unpack_wide(tmp_path)
    copy(f"type=local,src={wide}", tmp_path / "copy")
    assert caches.files(tmp_path / "copy") == caches.files(wide)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["max", "max-oci-index", "max-docker-list"])
def test_a_changed_form_is_buildkits_own(name, form, tmp_path):
    real = {"image-manifest": "max", "oci-index": "max-oci-index", "docker-list": "max-docker-list"}
    copy(source(name), tmp_path, FORMS[form])
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / real[form])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", caches.LAYOUTS)
def test_a_form_and_back_changes_no_byte(name, form, tmp_path):
    original = json.loads((caches.FOLDER / name / "index.json").read_bytes())
    media_type = original["manifests"][0]["mediaType"]
    own = next(
        f
        for f in FORMS
        if f.split("-")[-1] in media_type.replace("+json", "")
        and ("docker" in f) == ("docker" in media_type)
    )
    copy(source(name), tmp_path / "one", FORMS[form])
    desc = copy(f"type=local,src={tmp_path / 'one'}", tmp_path / "two", FORMS[own])
    assert desc.digest == original["manifests"][0]["digest"]
    assert caches.files(tmp_path / "two") == caches.files(caches.FOLDER / name)


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("name", ["max", "max-zstd", "max-uncompressed", "variant-mix", "min"])
def test_every_compression_keeps_meaning_and_contents(name, compression, tmp_path):
    copy(source(name), tmp_path, f"compression={compression},force-compression=true")
    [before], [after] = load_cache(source(name)), load_cache(f"type=local,src={tmp_path}")
    assert {desc.media_type for desc in after.layers} == {compression.media_type}
    diff_ids = {str(desc.digest): str(desc.diff_id) for desc in (*before.layers, *after.layers)}
    assert difference(by_diff_id(before, diff_ids), by_diff_id(after, diff_ids)) is None
    for desc in after.layers:
        assert desc.annotations.get("buildkit/createdat") in {
            other.annotations.get("buildkit/createdat")
            for other in before.layers
            if other.diff_id == desc.diff_id
        }


def by_diff_id(cache, diff_ids):
    layers = tuple(replace(layer, blob=diff_ids[layer.blob]) for layer in cache.config.layers)
    return replace(cache.config, layers=layers)


@pytest.mark.parametrize(
    ("name", "compression"),
    [("max", "gzip"), ("max-zstd", "zstd"), ("max-uncompressed", "uncompressed")],
)
def test_a_compression_that_it_has_changes_nothing(name, compression, tmp_path):
    copy(source(name), tmp_path, f"compression={compression},force-compression=true")
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / name)


def test_mode_min_of_max_means_min(tmp_path):
    copy(source("max"), tmp_path, "mode=min")
    ours, theirs = config(f"type=local,src={tmp_path}"), config(source("min"))
    assert len(ours.layers) == len(theirs.layers) == 6
    assert difference(timeless(ours), timeless(theirs)) is None
    assert difference(timeless(config(source("max"))), timeless(theirs)) is not None


def timeless(cfg):
    """Leave out in what two runs of one build differ: times, and so the blobs."""
    return replace(
        cfg,
        layers=tuple(replace(layer, blob="") for layer in cfg.layers),
        records=tuple(
            replace(r, results=tuple(replace(x, created_at=Timestamp(0)) for x in r.results))
            for r in cfg.records
        ),
    )


@pytest.mark.parametrize("name", ["max", "copy-link", "min"])
def test_mode_max_of_one_source_is_the_source(name, tmp_path):
    copy(source(name), tmp_path, "mode=max")
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / name)


@pytest.mark.parametrize("order", [1, -1])
def test_merged_platforms_mean_the_build_of_both(order, tmp_path):
    sources = [source("multi-amd64"), source("multi-arm64")][::order]
    copy(sources, tmp_path)
    tied = config(f"type=local,src={tmp_path}")
    assert tied.records[-1].digest == TIE
    merged = untied(tied)
    assert difference(merged, config(source("multi-both"))) is None
    again = CacheChains.parse(tied, load_cache(source("multi-both"))[0].layers)
    assert again.marshal()[0].encode() == merged.encode()


@pytest.mark.parametrize("name", ["max", "min", "copy-link", "multi-both", "max-src-changed"])
def test_a_graph_marshals_to_the_bytes_that_were_read(name, tmp_path):
    [cache] = load_cache(source(name))
    response = export_cache(import_cache(source(name)), f"type=local,dest={tmp_path}")
    assert json.loads(response["cache.manifest"])["digest"] == cache.wrapped.descriptor.digest
    assert caches.files(tmp_path) == caches.files(caches.FOLDER / name)


@pytest.mark.parametrize("name", ["wide", "variant-mix"])
def test_a_graph_of_which_buildkit_has_several_bytes_keeps_its_meaning(name, tmp_path):
    folder = caches.unpack_wide(tmp_path) if name == "wide" else caches.FOLDER / name
    spec = f"type=local,src={folder}"
    chains = import_cache(spec)
    once, sources = chains.marshal()
    assert once.encode() == CacheChains.parse(once, sources).marshal()[0].encode()
    assert len(once.records) == len(config(spec).records)
    if name != "wide":
        assert difference(once, config(spec)) is None


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_any_number_of_threads_writes_the_same(threads, tmp_path):
    wide = caches.unpack_wide(tmp_path)
    target = f"type=local,dest={tmp_path / 'copy'}"
    copy_cache([f"type=local,src={wide}"], [target], threads=threads)
    assert caches.files(tmp_path / "copy") == caches.files(wide)


def test_several_tags_share_a_directory(tmp_path):
    names = ["max", "min", "max-docker-list"]
    random.Random(1).shuffle(names)
    for name in names:
        copy(source(name), tmp_path, f"tag={name}")
    for name in names:
        [cache] = load_cache(f"type=local,src={tmp_path},tag={name}")
        [original] = load_cache(source(name))
        assert cache.wrapped == original.wrapped
        digest = original.wrapped.descriptor.digest
        [cache] = load_cache(f"type=local,src={tmp_path},digest={digest}")
        assert cache.wrapped == original.wrapped


def test_each_target_gets_its_own_answer(tmp_path):
    targets = [f"type=local,dest={tmp_path / form},{FORMS[form]}" for form in FORMS]
    answers = copy_cache([source("max")], targets)
    digests = [json.loads(answer.response["cache.manifest"])["digest"] for answer in answers]
    assert len(set(digests)) == 3
    for form, digest in zip(FORMS, digests, strict=True):
        index = json.loads((tmp_path / form / "index.json").read_bytes())
        assert [entry["digest"] for entry in index["manifests"]] == [digest]


IMAGES = ["inline-image.tar", "copy-link-inline-image.tar"]


@pytest.mark.parametrize("name", IMAGES)
def test_an_inline_cache_becomes_a_cache(name, tmp_path):
    copy(source(name), tmp_path)
    [inline], [cache] = load_cache(source(name)), load_cache(f"type=local,src={tmp_path}")
    assert {desc.digest for desc in cache.layers} <= {desc.digest for desc in inline.layers}
    assert len(cache.config.records) == len(inline.config.records)
    assert any(record.results for record in cache.config.records)
    for desc in cache.layers:
        assert {"buildkit/createdat", "containerd.io/uncompressed"} <= set(desc.annotations)


@pytest.mark.parametrize("name", IMAGES)
def test_an_inline_cache_is_written_as_buildkit_wrote_it(name):
    [inline] = load_cache(source(name))
    layers = [Digest.parse(layer.blob) for layer in inline.config.layers]
    from cachexport.model.config import encode_records

    assert encode_inline(import_cache(source(name)), layers) == encode_records(
        inline.config.records
    )


def test_an_image_without_inline_cache_is_no_cache():
    from cachexport.errors import NotFound

    with pytest.raises(NotFound, match="no inline cache"):
        load_cache(source("docker-archive.tar"))


def rewrapped(folder, change):
    """Write `max` with another config, as a layout of its own."""
    [cache] = load_cache(source("max"))
    raw = json.dumps(change(json.loads(cache.wrapped.config))).encode()
    desc = Descriptor.of(raw, mediatype.CACHE_CONFIG_V0)
    manifest = encode_manifest(Form.IMAGE_MANIFEST, cache.layers, desc)
    blobs = folder / "blobs" / "sha256"
    shutil.copytree(caches.FOLDER / "max", folder)
    top = Descriptor.of(manifest, mediatype.OCI_MANIFEST)
    (blobs / desc.digest.encoded).write_bytes(raw)
    (blobs / top.digest.encoded).write_bytes(manifest)
    index = json.loads((folder / "index.json").read_bytes())
    index["manifests"][0] |= {"digest": top.digest, "size": top.size}
    (folder / "index.json").write_text(json.dumps(index))
    return f"type=local,src={folder}"


def loop(config):
    first, second = config["records"][:2]
    first["inputs"], second["inputs"] = [[{"link": 1}]], [[{"link": 0}]]
    return config


def no_such_record(config):
    config["records"][0]["inputs"] = [[{"link": 999}]]
    return config


def no_such_layer(config):
    config["records"][0]["layers"] = [{"layer": 99, "createdAt": "2026-01-01T00:00:00Z"}]
    return config


def undescribed_layer(config):
    config["layers"][0]["blob"] = "sha256:" + "0" * 64
    return config


@pytest.mark.parametrize(
    ("change", "code"),
    [(loop, 65), (no_such_record, 65), (no_such_layer, 65), (undescribed_layer, 70)],
)
@pytest.mark.parametrize("attrs", ["", "image-manifest=false", "mode=min"])
def test_what_nobody_could_import_is_not_passed_on(change, code, attrs, tmp_path):
    copy(source("min"), tmp_path / "target")
    before = caches.files(tmp_path / "target")
    with pytest.raises(CachexportError) as raised:
        copy(rewrapped(tmp_path / "bad", change), tmp_path / "target", attrs)
    assert raised.value.exit_code == code
    assert caches.files(tmp_path / "target") == before


@pytest.mark.parametrize("attrs", ["mode=min", "compression=zstd,force-compression=true"])
def test_a_reset_waits_until_nothing_reads_any_more(attrs, tmp_path):
    copy(source("max"), tmp_path / "one")
    spec = f"type=local,src={tmp_path / 'one'}"
    one = f"type=local,dest={tmp_path / 'one'},{attrs},reset=true"
    copy_cache([spec], [one, f"type=local,dest={tmp_path / 'two'}"])
    assert caches.files(tmp_path / "two") == caches.files(caches.FOLDER / "max")
    [changed] = load_cache(spec)
    blobs = {path.name for path in (tmp_path / "one" / "blobs" / "sha256").iterdir()}
    kept = {desc.digest.encoded for desc in changed.layers}
    wrapped = {changed.wrapped.descriptor, changed.wrapped.config_descriptor}
    assert blobs == kept | {desc.digest.encoded for desc in wrapped}
