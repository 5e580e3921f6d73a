"""The cache that the checks write: one record and one layer, with random bytes."""

from __future__ import annotations

import gzip
import io
import secrets
import tarfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.content.memory import MemoryContent
from cachexport.model.chains import CacheChains, CacheResult, Remote
from cachexport.model.config import decode
from cachexport.model.envelope.manifest import encode_manifest
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED, Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.mediatype import CACHE_CONFIG_V0, OCI_LAYER_GZIP

if TYPE_CHECKING:
    from cachexport.model.envelope.manifest import Form

_TIME = "2020-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyCache:
    """A cache as a build would export it, of a few hundred bytes."""

    layer: bytes
    layer_descriptor: Descriptor
    config: bytes

    @property
    def config_descriptor(self) -> Descriptor:
        """Describes the config."""
        return Descriptor.of(self.config, CACHE_CONFIG_V0)

    def manifest(self, form: Form, *, times: int = 1, absent: Digest | None = None) -> bytes:
        """Give a manifest that names the layer so many times, and perhaps an `absent` blob."""
        layers = [self.layer_descriptor] * times
        if absent is not None:
            layers.append(replace(self.layer_descriptor, digest=absent))
        return encode_manifest(form, layers, self.config_descriptor)

    def manifest_of_size(self, form: Form, limit: int) -> bytes:
        """Give the longest manifest of at most `limit` bytes."""
        one, two = (len(self.manifest(form, times=times)) for times in (1, 2))
        return self.manifest(form, times=1 + (limit - one) // (two - one))

    @property
    def record(self) -> str:
        """The digest of the cache's only record."""
        [record] = decode(self.config).records
        return record.digest

    def other(self) -> TinyCache:
        """Give a cache of another record with the same layer."""
        config = _config(Digest.of(self.config), self.layer, self.layer_descriptor)
        return replace(self, config=config)


def make_tiny_cache() -> TinyCache:
    """Make a tiny cache with a layer and a record that nobody else has."""
    tar = _tar(secrets.token_bytes(32))
    layer = gzip.compress(tar, mtime=0)
    annotations = {
        UNCOMPRESSED: Digest.of(tar),
        CREATED_AT: _TIME,
        DESCRIPTION: "cachexport doctor: may be deleted at any time",
    }
    desc = replace(Descriptor.of(layer, OCI_LAYER_GZIP), annotations=annotations)
    config = _config(Digest.of(tar), layer, desc)
    return TinyCache(layer=layer, layer_descriptor=desc, config=config)


def _config(record: Digest, layer: bytes, desc: Descriptor) -> bytes:
    chains = CacheChains()
    remote = Remote([desc], MemoryContent([layer]))
    chains.add(record, results=[CacheResult(_TIME, remote)])
    config, _ = chains.marshal()
    return config.encode()


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("cachexport-doctor")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
