"""Layers to build on, and the ways in which they lie on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from unit.images.builder.rig import entry, folder, hardlink, put_layer

from cachexport.errors import (
    FailedPrecondition,
)
from cachexport.images.builder import Snapshots, Way

if TYPE_CHECKING:
    from cachexport.images.store import Lease, Store
    from cachexport.oci.descriptor import Descriptor

WAYS = [Way.OVERLAY, Way.COPY]


def way_of(store: Store, way: Way) -> Snapshots:
    try:
        return Snapshots.open(store, way=way)
    except FailedPrecondition as error:
        pytest.skip(str(error))


def two_layers(store: Store, lease: Lease) -> list[Descriptor]:
    content = store.content.under(lease)
    return [
        put_layer(
            content,
            folder("a"),
            entry("a/1", b"one"),
            hardlink("a/2", "a/1"),
            entry("b", b"b"),
            folder("c"),
            entry("c/x", b"x"),
            folder("moved"),
            entry("moved/1", b"linked"),
            hardlink("outside", "moved/1"),
            folder("full"),
            entry("full/x", b"x"),
            entry("full/y", b"y"),
        ),
        put_layer(content, entry(".wh.b"), hardlink("d", "a/1"), entry("c/y", b"y"), entry("e")),
    ]
