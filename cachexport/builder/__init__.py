"""Directories made of layers, and layers made of directories."""

from cachexport.builder.changes import Policy
from cachexport.builder.copying import Copying, copy_into, copy_layer
from cachexport.builder.layers import diff_layer, unpack_layer
from cachexport.builder.limits import Limits
from cachexport.builder.pulling import Puller, PullPolicy
from cachexport.builder.snapshots import Snapshots, Way, Writable
from cachexport.builder.unpack import Rights

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
    "copy_into",
    "copy_layer",
    "diff_layer",
    "unpack_layer",
]
