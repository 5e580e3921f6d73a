"""The inline cache: records inside an image's config, about the image's own layers."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cachexport.errors import InvalidInputError, WireFormat
from cachexport.model import config as cacheconfig
from cachexport.model.chains import CacheChains
from cachexport.model.config import CacheConfig, CacheLayer, CacheResult, ChainedResult
from cachexport.model.envelope.cache import Cache
from cachexport.oci import gojson
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

KEY = "moby.buildkit.cache.v0"
"""The key of an image's config under which BuildKit keeps the inline cache, as base64."""

_log = logging.getLogger(__name__)
_IMAGE = frozenset({KEY, "rootfs", "history"})
_ROOTFS = frozenset({"diff_ids"})
_HISTORY = frozenset({"created", "created_by", "empty_layer"})


def encode_inline(chains: CacheChains, layers: Sequence[Digest]) -> bytes | None:
    """Give the records to embed in the image that has these layers, bottom first.

    `layers` are blobs or diff IDs. All records stay; of the results only those whose layers are
    all in the image. None when there is no such result: then nothing is embedded.
    """
    config, sources = chains.marshal()
    positions: list[set[str]] = [set() for _ in layers]
    for digest, source in sources.items():
        names = {digest, source.descriptor.diff_id}
        for position, layer in enumerate(layers):
            if layer in names:
                positions[position].add(digest)
    kept = {digest: sources[digest] for digest in sources if any(digest in at for at in positions)}
    config, _ = CacheChains.parse(config, kept).marshal()
    if not config.layers:
        _log.warning("failed to match any cache with layers")
        return None
    records = [_place(record, config.layers, positions) for record in config.records]
    return cacheconfig.encode_records(records)


def _place(
    record: cacheconfig.CacheRecord, layers: Sequence[CacheLayer], positions: Sequence[set[str]]
) -> cacheconfig.CacheRecord:
    results: list[CacheResult] = []
    chained: list[ChainedResult] = []
    for result in record.results:
        blobs = _stack(layers, result.layer)
        placed = replace(result, layer=len(blobs) - 1)
        if _in_order(blobs, positions):
            # BuildKit takes the one that has nothing but zeros for none.
            results += [] if placed == CacheResult() else [placed]
        else:
            # BuildKit writes no time here.
            numbers = tuple(_last_position(blob, positions) for blob in blobs)
            chained.append(ChainedResult(layers=numbers))
    return replace(record, results=tuple(results), chained_results=tuple(chained))


def _stack(layers: Sequence[CacheLayer], number: int) -> list[str]:
    blobs = []
    while number >= 0:
        blobs.append(layers[number].blob)
        number = layers[number].parent
    return blobs[::-1]


def _in_order(blobs: Sequence[str], positions: Sequence[set[str]]) -> bool:
    fits = len(blobs) <= len(positions)
    return fits and all(blob in at for blob, at in zip(blobs, positions, strict=False))


def _last_position(blob: str, positions: Sequence[set[str]]) -> int:
    return max(position for position, blobs in enumerate(positions) if blob in blobs)


def decode_inline(
    image_config: bytes, layers: Sequence[Descriptor], provider: Provider
) -> Cache | None:
    """Read the cache that an image's config has; None if it has none.

    `layers` are those of the image's manifest. Like BuildKit it passes over, with a warning, an
    image whose config names another number of layers. Raises WireFormat.
    """
    found = gojson.fields(gojson.loads(image_config), _IMAGE, "")
    diff_ids = _diff_ids(found.get("rootfs"))
    stories = _stories(found.get("history"), len(layers))
    if found.get(KEY) is None:
        return None
    if len(diff_ids) != len(layers):
        _log.warning(
            "ignoring an inline cache: the image has %d layers, its config names %d",
            len(layers),
            len(diff_ids),
        )
        return None
    numbered = enumerate(layers)
    return Cache(
        config=CacheConfig(
            layers=tuple(CacheLayer(blob=desc.digest, parent=i - 1) for i, desc in numbered),
            records=_records(found[KEY]),
        ),
        layers=tuple(map(_annotated, layers, diff_ids, stories)),
        provider=provider,
    )


def _records(value: Any) -> tuple[cacheconfig.CacheRecord, ...]:
    raw = gojson.base64(value, KEY)
    try:
        return cacheconfig.decode_records(raw)
    except WireFormat as error:
        raise error.under(KEY) from None


def _diff_ids(value: Any) -> list[str]:
    path = "rootfs.diff_ids"
    items = gojson.array(gojson.fields(value, _ROOTFS, "rootfs").get("diff_ids"), path)
    return [gojson.string(item, path) for item in items]


def _stories(value: Any, count: int) -> list[dict[str, str]]:
    """Give for each layer what the history tells: when and by what it was made."""
    entries = [
        gojson.fields(entry, _HISTORY, "history") for entry in gojson.array(value, "history")
    ]
    told = [(_is_empty(entry), _story(entry)) for entry in entries]
    stories = [story for is_empty, story in told if not is_empty]
    # BuildKit crashes when the history is shorter than the layers are many.
    return (stories + [{}] * count)[:count]


def _is_empty(entry: dict[str, Any]) -> bool:
    return gojson.boolean(entry.get("empty_layer"), "history.empty_layer")


def _story(entry: dict[str, Any]) -> dict[str, str]:
    story = {}
    if entry.get("created") is not None:
        story[CREATED_AT] = _time(gojson.string(entry["created"], "history.created"))
    if description := gojson.string(entry.get("created_by"), "history.created_by"):
        story[DESCRIPTION] = description
    return story


def _time(text: str) -> str:
    try:
        return str(Timestamp.parse(text))
    except InvalidInputError as error:
        raise WireFormat(str(error), "history.created") from error


def _annotated(desc: Descriptor, diff_id: str, story: dict[str, str]) -> Descriptor:
    return replace(desc, annotations={**desc.annotations, **story, UNCOMPRESSED: diff_id})
