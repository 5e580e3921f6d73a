"""A cache as JSON. The fields are listed in the help of `inspect`; none will be taken away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cachexport.cli.views.names import form_of
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.insight.inspect import Document, Inspection, Layer, Record, Result
    from cachexport.oci.timestamp import Timestamp


def document_lines(inspections: Sequence[Inspection]) -> Iterator[str]:
    """Give the JSON of all caches."""
    yield json.dumps({"caches": [_cache(inspection) for inspection in inspections]}, indent=2)


def _cache(inspection: Inspection) -> dict[str, Any]:
    return {
        "form": form_of(inspection),
        "manifest": _document(inspection.manifest),
        "config": _document(inspection.config),
        "import_limit": IMPORT_LIMIT,
        "summary": _summary(inspection),
        "notes": list(inspection.notes),
        "records": [_record(record) for record in inspection.records],
        "layers": [_layer(layer) for layer in inspection.layers],
    }


def _document(document: Document | None) -> dict[str, Any] | None:
    if document is None:
        return None
    return {
        "media_type": document.media_type,
        "digest": document.digest,
        "size": document.size,
    }


def _summary(inspection: Inspection) -> dict[str, Any]:
    return {
        "records": len(inspection.records),
        "results": inspection.results,
        "layers": len(inspection.layers),
        "blobs": inspection.blobs,
        "size": inspection.size,
        "oldest_result": _time(inspection.oldest),
        "newest_result": _time(inspection.newest),
        "kinds": [
            {
                "media_type": kind.media_type,
                "compression": kind.compression,
                "blobs": kind.blobs,
                "size": kind.size,
            }
            for kind in inspection.kinds
        ],
    }


def _record(record: Record) -> dict[str, Any]:
    return {
        "digest": record.digest,
        "inputs": [
            [{"record": link.link, "selector": link.selector} for link in links]
            for links in record.inputs
        ],
        "results": [_result(result) for result in record.results],
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "created_at": _time(result.created_at),
        "layer": result.top,
        "depth": result.depth,
        "chain": result.chain,
    }


def _layer(layer: Layer) -> dict[str, Any]:
    desc = layer.descriptor
    return {
        "blob": layer.blob,
        "parent": layer.parent,
        "media_type": desc.media_type if desc else None,
        "size": layer.size,
        "diff_id": desc.diff_id if desc else None,
        "description": layer.description or None,
    }


def _time(time: Timestamp | None) -> str | None:
    return None if time is None else str(time)
