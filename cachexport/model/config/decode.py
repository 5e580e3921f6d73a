"""From bytes to the model, reading whatever Go's decoder reads."""

from __future__ import annotations

from typing import Any

from cachexport.errors import InvalidInputError, WireFormat
from cachexport.model.config.model import (
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
    LayerAnnotations,
)
from cachexport.oci import gojson
from cachexport.oci.timestamp import Timestamp

_CONFIG = frozenset({"layers", "records"})
_LAYER = frozenset({"blob", "parent", "annotations"})
_ANNOTATIONS = frozenset({"mediaType", "diffID", "size", "createdAt"})
_RECORD = frozenset({"layers", "chains", "digest", "inputs"})
_RESULT = frozenset({"layer", "createdAt"})
_CHAINED_RESULT = frozenset({"layers", "createdAt"})
_INPUT = frozenset({"selector", "link"})


def decode(raw: bytes) -> CacheConfig:
    """Read a cache config. Raises WireFormat, which says where, when the bytes are none.

    Only the form is checked here: where the numbers in it lead is checked when it is parsed
    into chains.
    """
    found = gojson.fields(gojson.loads(raw), _CONFIG, "")
    return CacheConfig(
        layers=tuple(gojson.each(found.get("layers"), "layers", _layer)),
        records=tuple(gojson.each(found.get("records"), "records", _record)),
    )


def decode_records(raw: bytes) -> tuple[CacheRecord, ...]:
    """Read the array of records that an image with an inline cache has. Raises WireFormat."""
    return tuple(gojson.each(gojson.loads(raw), "records", _record))


def _layer(value: Any) -> CacheLayer:
    found = gojson.fields(value, _LAYER, "")
    annotations = found.get("annotations")
    return CacheLayer(
        blob=gojson.string(found.get("blob"), "blob"),
        parent=gojson.integer(found.get("parent"), "parent"),
        annotations=None if annotations is None else _annotations(annotations),
    )


def _annotations(value: Any) -> LayerAnnotations:
    try:
        found = gojson.fields(value, _ANNOTATIONS, "")
        return LayerAnnotations(
            media_type=gojson.string(found.get("mediaType"), "mediaType"),
            diff_id=gojson.string(found.get("diffID"), "diffID"),
            size=gojson.integer(found.get("size"), "size"),
            created_at=_time(found.get("createdAt")),
        )
    except WireFormat as error:
        raise error.under("annotations") from None


def _record(value: Any) -> CacheRecord:
    found = gojson.fields(value, _RECORD, "")
    return CacheRecord(
        results=tuple(gojson.each(found.get("layers"), "layers", _result)),
        chained_results=tuple(gojson.each(found.get("chains"), "chains", _chained_result)),
        digest=gojson.string(found.get("digest"), "digest"),
        inputs=tuple(gojson.each(found.get("inputs"), "inputs", _links)),
    )


def _result(value: Any) -> CacheResult:
    found = gojson.fields(value, _RESULT, "")
    return CacheResult(
        layer=gojson.integer(found.get("layer"), "layer"),
        created_at=_time(found.get("createdAt")),
    )


def _chained_result(value: Any) -> ChainedResult:
    found = gojson.fields(value, _CHAINED_RESULT, "")
    layers = gojson.each(found.get("layers"), "layers", lambda item: gojson.integer(item, ""))
    return ChainedResult(layers=tuple(layers), created_at=_time(found.get("createdAt")))


def _links(value: Any) -> tuple[CacheInput, ...]:
    return tuple(gojson.each(value, "", _input))


def _input(value: Any) -> CacheInput:
    found = gojson.fields(value, _INPUT, "")
    return CacheInput(
        selector=gojson.string(found.get("selector"), "selector"),
        link=gojson.integer(found.get("link"), "link"),
    )


def _time(value: Any) -> Timestamp:
    if value is None:
        return Timestamp.ZERO
    try:
        return Timestamp.parse(gojson.string(value, "createdAt"))
    except WireFormat:
        raise
    except InvalidInputError as error:
        raise WireFormat(str(error), "createdAt") from error
