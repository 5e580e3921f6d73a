"""Backends, as a table, as a table of one's attributes, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cachexport.cli.console import in_line
from cachexport.cli.views.columns import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cachexport.contract.discovery import (
        KnownAttribute,
        Plugin,
    )

_HEADINGS = ("TYPE", "PACKAGE", "VERSION", "READY", "FAULT")
_ATTRIBUTE_HEADINGS = ("ATTRIBUTE", "FOR", "MEANING")


def table_lines(found: Sequence[Plugin], width: int | None) -> Iterator[str]:
    """Give a line for each backend."""
    yield from aligned([_HEADINGS, *map(_row, found)], width=width)


def attribute_lines(plugin: Plugin, width: int | None) -> Iterator[str]:
    """Give a line for the backend and one for each of its attributes."""
    where = f"{plugin.package} {plugin.version}".strip()
    yield in_line(f"type={plugin.type}, from {where or 'an unknown package'}")
    if plugin.fault:
        yield in_line(f"cannot be used: {plugin.fault}")
    if plugin.attributes:
        rows = [(each.name, _ways(each), each.summary) for each in plugin.attributes]
        yield ""
        yield from aligned([_ATTRIBUTE_HEADINGS, *rows], width=width)


def document_lines(found: Sequence[Plugin]) -> Iterator[str]:
    """Give everything, as JSON."""
    yield json.dumps({"plugins": [_plugin(plugin) for plugin in found]}, indent=2)


def _row(plugin: Plugin) -> tuple[str, ...]:
    ready = "no" if plugin.fault else "yes"
    package, version = plugin.package or "-", plugin.version or "-"
    return plugin.type, in_line(package), in_line(version), ready, in_line(plugin.fault)


def _ways(attribute: KnownAttribute) -> str:
    if attribute.source and attribute.target:
        return "both"
    return "from" if attribute.source else "to"


def _plugin(plugin: Plugin) -> dict[str, Any]:
    return {
        "type": plugin.type,
        "package": plugin.package,
        "version": plugin.version,
        "ready": not plugin.fault,
        "missing": list(plugin.missing),
        "fault": plugin.fault or None,
        "attributes": [
            {
                "name": each.name,
                "summary": each.summary,
                "from": each.source,
                "to": each.target,
            }
            for each in plugin.attributes
        ],
    }
