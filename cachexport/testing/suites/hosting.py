"""Blobs without a name, and names of other things than caches: a gateway needs both."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, cast

import pytest

from cachexport.api.names import (
    list_names,
)
from cachexport.api.places import (
    prune_caches,
)
from cachexport.content.copy import ingest_bytes
from cachexport.content.protocols import RangedProvider, Stager
from cachexport.content.verify import read_blob
from cachexport.contract.place import Hosting, Sweepable
from cachexport.errors import NotFound
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from cachexport.testing.harness import Suite
from cachexport.upkeep.prune import Plan
from cachexport.upkeep.retention import Retention

if TYPE_CHECKING:
    from cachexport.contract.place import Place
    from cachexport.testing.harness import Harness

_CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


def _hosting(place: Place) -> Hosting:
    if not isinstance(place, Hosting):
        pytest.skip("the place takes no blobs before they have a name")
    return place


def _image(place: Hosting, layer: bytes) -> Descriptor:
    """Write all of a small image, and describe its manifest."""
    config, blob = Descriptor.of(_CONFIG, OCI_CONFIG), Descriptor.of(layer, OCI_LAYER)
    parts = {"config": json.loads(config.encode()), "layers": [json.loads(blob.encode())]}
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, **parts}).encode()
    manifest = Descriptor.of(raw, OCI_MANIFEST)
    with place.ingesting() as ingester:
        for desc, content in ((config, _CONFIG), (blob, layer), (manifest, raw)):
            ingest_bytes(ingester, desc, content)
    return manifest


class HostingSuite(Suite):
    """A Hosting; skipped for places that are none."""

    def test_a_blob_is_there_before_anything_names_it(self, harness: Harness) -> None:
        raw = bytes(range(256)) * 3000
        desc = Descriptor.of(raw, "application/octet-stream")
        with harness.place() as opened:
            place = _hosting(opened)
            with pytest.raises(NotFound):
                place.content.info(desc.digest)
            with place.ingesting() as ingester:
                ingest_bytes(ingester, desc, raw)
            assert place.content.info(desc.digest).size == len(raw)
            assert read_blob(place.content, desc) == raw
            if isinstance(place.content, RangedProvider):
                with closing(place.content.open_from(desc, 700_001)) as reader:
                    assert b"".join(iter(lambda: reader.read(5000), b"")) == raw[700_001:]

    def test_a_blob_comes_before_its_digest(self, harness: Harness) -> None:
        raw = bytes(range(256)) * 3000
        desc = Descriptor.of(raw, "application/octet-stream")
        with harness.place() as opened, _hosting(opened).ingesting() as ingester:
            place = cast("Hosting", opened)
            if not isinstance(ingester, Stager):
                pytest.skip("it has to know digests first")
            for is_committed in (False, True):
                with closing(ingester.stage()) as staged:
                    for start in range(0, len(raw), 100_000):
                        staged.write(raw[start : start + 100_000])
                    with pytest.raises(NotFound):
                        place.content.info(desc.digest)
                    if is_committed:
                        staged.commit(desc)
            assert read_blob(place.content, desc) == raw

    def test_a_name_that_is_no_cache(self, harness: Harness) -> None:
        with harness.place() as opened:
            place = _hosting(opened)
            with pytest.raises(NotFound):
                place.resolve("image")
            for layer in (b"first", b"second"):
                manifest = _image(place, layer)
                place.assign("image", manifest)
                found = place.resolve("image")
                assert (found.digest, found.size) == (manifest.digest, manifest.size)
                assert found.media_type == OCI_MANIFEST
            apart = place.assigned()
            assert [entry.name for entry in apart] == (["image"] if place.apart else [])
            harness.put("main", 1)
            kinds = {item.name: item.kind for item in list_names(harness.spec("any"))}
            assert kinds.keys() == {"image", "main"}
            assert kinds["image"] == "image"
            [entry] = apart or [entry for entry in opened.entries() if entry.name == "image"]
            needs = opened.needs(entry)
            assert (needs.is_cache, needs.is_image) == (False, True)
            config, blob = Descriptor.of(_CONFIG, OCI_CONFIG), Descriptor.of(b"second", OCI_LAYER)
            assert set(needs.sizes) == {manifest.digest, config.digest, blob.digest}
            assert needs.sizes == opened.contents(entry).sizes
            place.unassign("image")
            place.unassign("image")
            assert place.assigned() == []

    def test_what_a_name_needs_is_not_pruned(self, harness: Harness) -> None:
        with harness.place() as opened:
            place = _hosting(opened)
            if not isinstance(place, Sweepable):
                pytest.skip("nothing is pruned there")
            kept, lost = _image(place, b"kept"), _image(place, b"lost")
            place.assign("image", kept)
            plan = Plan(retention=Retention(), grace=0.0, dry_run=False)
            while place.present([lost.digest]):
                # The clock of a place may count in seconds.
                prune_caches([harness.with_attrs("x", harness.no_grace)], plan)
            layer = Descriptor.of(b"kept", OCI_LAYER)
            assert place.present([kept.digest, layer.digest]) == {kept.digest, layer.digest}
