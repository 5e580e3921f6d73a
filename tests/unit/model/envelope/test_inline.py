import base64
import json
import logging

import pytest

from cachexport import (
    CacheChains,
    CacheLink,
    CacheResult,
    Descriptor,
    Digest,
    MemoryContent,
    Remote,
    encode_inline,
)
from cachexport.contract.reading import read_caches
from cachexport.errors import Integrity, NotFound, WireFormat
from cachexport.model.envelope.inline import KEY, decode_inline
from cachexport.oci import mediatype

LAYERS = [
    Descriptor(media_type=mediatype.OCI_LAYER_GZIP, digest=Digest.of(raw), size=1)
    for raw in (b"1", b"2")
]
DIFF_IDS = [Digest.of(b"u1"), Digest.of(b"u2")]
RECORDS = (
    f'[{{"layers":[{{"layer":0,"createdAt":"2026-01-01T00:00:00Z"}}],"digest":"{Digest.of(b"b")}"}}'
    f',{{"chains":[{{"layers":[1,0],"createdAt":"2026-01-02T00:00:00Z"}}],'
    f'"digest":"{Digest.of(b"a")}","inputs":[[{{"link":0}}]]}}]'
).encode()
HISTORY = [
    {"created": "2026-01-01T00:00:00.500Z", "created_by": "COPY"},
    {"created": "2026-01-01T00:00:01Z", "created_by": "ENV", "empty_layer": True},
    {"created_by": "RUN"},
]


def image(**changes):
    config = {
        "rootfs": {"type": "layers", "diff_ids": DIFF_IDS},
        "history": HISTORY,
        KEY: base64.b64encode(RECORDS).decode(),
    }
    return json.dumps(dict((config | changes).items())).encode()


def read(**changes):
    return decode_inline(image(**changes), LAYERS, MemoryContent())


def test_layers_get_what_the_image_knows_of_them():
    cache = read()
    assert cache is not None
    assert [(layer.blob, layer.parent) for layer in cache.config.layers] == [
        (LAYERS[0].digest, -1),
        (LAYERS[1].digest, 0),
    ]
    assert [dict(desc.annotations) for desc in cache.layers] == [
        {
            "buildkit/createdat": "2026-01-01T00:00:00.5Z",
            "buildkit/description": "COPY",
            "containerd.io/uncompressed": DIFF_IDS[0],
        },
        {"buildkit/description": "RUN", "containerd.io/uncompressed": DIFF_IDS[1]},
    ]
    config, sources = CacheChains.parse(cache.config, cache.layers).marshal()
    assert len(config.records) == 2
    assert all(len(record.results) == 1 for record in config.records)
    assert set(sources) == {desc.digest for desc in LAYERS}


def test_what_was_read_is_written_again():
    cache = read()
    chains = CacheChains.parse(cache.config, cache.layers)
    again = encode_inline(chains, [desc.digest for desc in LAYERS])
    assert again == RECORDS.replace(b"2026-01-02T00:00:00Z", b"0001-01-01T00:00:00Z")
    assert encode_inline(chains, DIFF_IDS) == again


def test_only_results_whose_layers_are_in_the_image_stay(caplog):
    cache = read()
    chains = CacheChains.parse(cache.config, cache.layers)
    [first, second] = json.loads(encode_inline(chains, [LAYERS[0].digest]))
    assert [item["layer"] for item in first["layers"]] == [0]
    assert "chains" not in second
    assert encode_inline(chains, [Digest.of(b"other")]) is None
    assert "failed to match any cache" in caplog.text


def test_a_blob_that_occurs_twice_is_the_last_one():
    cache = read()
    chains = CacheChains.parse(cache.config, cache.layers)
    layers = [LAYERS[0].digest, LAYERS[1].digest, LAYERS[0].digest]
    [_, second] = json.loads(encode_inline(chains, layers))
    assert second["chains"][0]["layers"] == [1, 2]


@pytest.mark.parametrize("history", [None, [], HISTORY[:1]])
def test_a_history_that_is_too_short_means_no_dates(history):
    cache = read(history=history)
    assert "buildkit/createdat" not in cache.layers[1].annotations


def test_a_result_of_zeros_is_none_to_buildkit():
    zero = CacheResult("0001-01-01T00:00:00Z", Remote(LAYERS[:1]))
    chains = CacheChains()
    root = chains.add(Digest.of(b"a"), results=[zero])
    later = CacheResult("2026-01-01T00:00:00Z", Remote(LAYERS))
    chains.add(Digest.of(b"b"), [[CacheLink(root)]], [later])
    written = json.loads(encode_inline(chains, [desc.digest for desc in LAYERS]))
    assert [record.get("layers") for record in written if "inputs" not in record] == [None]
    assert [len(record["layers"]) for record in written if "inputs" in record] == [1]


def test_an_image_without_one_has_none():
    assert read(**{KEY: None}) is None


def test_an_image_with_other_layers_is_passed_over(caplog):
    caplog.set_level(logging.WARNING)
    assert read(rootfs={"diff_ids": DIFF_IDS[:1]}) is None
    assert "the image has 2 layers, its config names 1" in caplog.text


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({KEY: "!"}, KEY),
        ({KEY: base64.b64encode(b'[{"digest":1}]').decode()}, f"{KEY}.records[0].digest"),
        ({"rootfs": []}, "rootfs"),
        ({KEY: "é"}, KEY),
        ({"history": [{"created": "x"}]}, "history.created"),
        ({"history": [{"created": "x", "empty_layer": True}]}, "history.created"),
        ({"history": [{"empty_layer": "no"}]}, "history.empty_layer"),
        ({"history": 5, KEY: None}, "history"),
    ],
)
def test_what_is_wrong_is_named(changes, path):
    with pytest.raises(WireFormat) as raised:
        read(**changes)
    assert raised.value.path == path


def manifest(config, **more):
    layers = [json.loads(desc.encode()) for desc in LAYERS]
    config = json.loads(Descriptor.of(config, mediatype.OCI_CONFIG).encode())
    value = {"schemaVersion": 2, "config": config, "layers": layers, **more}
    return json.dumps({"mediaType": mediatype.OCI_MANIFEST, **value}).encode()


def index(*raws):
    kinds = [(raw, mediatype.OCI_MANIFEST) for raw in raws]
    descs = [json.loads(Descriptor.of(raw, kind).encode()) for raw, kind in kinds]
    return json.dumps({"mediaType": mediatype.OCI_INDEX, "manifests": descs}).encode()


def test_an_index_is_followed_to_all_its_images():
    configs = [image(), image(history=[]), image(**{KEY: None})]
    images = [manifest(config) for config in configs]
    inner = index(*images[1:])
    top = index(images[0], inner, images[0])
    content = MemoryContent([*configs, *images, inner, top])
    caches = read_caches(content, Descriptor.of(top, mediatype.OCI_INDEX))
    assert [len(cache.layers[0].annotations) for cache in caches] == [3, 1]


def test_a_manifest_that_is_gone_is_not_found_and_a_config_is_broken():
    raw = manifest(image())
    desc = Descriptor.of(raw, mediatype.OCI_MANIFEST)
    with pytest.raises(NotFound):
        read_caches(MemoryContent(), desc)
    with pytest.raises(Integrity, match="names a config that is not there"):
        read_caches(MemoryContent([raw]), desc)
