"""Directories made of layers, and layers made of directories.

`unpack_layer` and `diff_layer` work on any directory. `Snapshots` keeps unpacked layers in a
store and gives writable directories on them::

    snapshots = Snapshots.open(store)
    with store.leases.held(seconds=3600) as lease:
        with snapshots.writable(layers, lease.id) as writable:
            (writable.root / "hello").write_text("world")
            layer = writable.commit()
"""

from cachexport.images.builder.changes import Policy
from cachexport.images.builder.layers import (
    Copying,
    copy_into,
    copy_layer,
    diff_layer,
    unpack_layer,
)
from cachexport.images.builder.snapshots import Snapshots, Way, chain_ids
from cachexport.images.builder.unpack import Limits, Rights
from cachexport.images.builder.writable import Writable
from cachexport.images.distribution import Puller, PullPolicy

__all__ = [
    "Copying",
    "Limits",
    "Policy",
    "PullPolicy",
    "Puller",
    "Rights",
    "Snapshots",
    "Way",
    "Writable",
    "chain_ids",
    "copy_into",
    "copy_layer",
    "diff_layer",
    "unpack_layer",
]
