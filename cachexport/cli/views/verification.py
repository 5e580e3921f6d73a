"""What verifying caches found, as lines for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from cachexport.cli.console import in_line, printable
from cachexport.cli.views.names import counted, title
from cachexport.contract.units import (
    readable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.upkeep.verify import CacheFault, Verification


def table_lines(found: Sequence[Verification]) -> Iterator[str]:
    """Give for every cache its faults, and a line that sums it up."""
    for number, item in enumerate(found, 1):
        if item.name:
            yield click.style(in_line(item.name), bold=True)
        elif len(found) > 1:
            yield click.style(title(number, len(found)), bold=True)
        for fault in item.faults:
            yield _row(fault)
        blobs = f"{counted(item.blobs, 'blob')}, {readable(item.size)}"
        told = counted(len(item.faults), "fault") if item.faults else "no fault"
        yield f"{counted(item.records, 'record')}, {blobs}: {told}"


def document_lines(found: Sequence[Verification]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"caches": [_cache(item) for item in found]}, indent=2)


def _row(fault: CacheFault) -> str:
    kind = click.style(f"{fault.kind:<13}", fg="red")
    where = f"{fault.blob}: " if fault.blob and fault.blob not in fault.text else ""
    return f"{kind}  {printable(where + fault.text)}"


def _cache(item: Verification) -> dict[str, Any]:
    return {
        "name": item.name or None,
        "records": item.records,
        "blobs": item.blobs,
        "size": item.size,
        "faults": [
            {"kind": fault.kind, "blob": fault.blob or None, "text": fault.text}
            for fault in item.faults
        ],
    }
