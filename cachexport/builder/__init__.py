"""Directories made of layers, and layers made of directories."""

from cachexport.builder.changes import Policy
from cachexport.builder.copying import Copying, copy_layer
from cachexport.builder.layers import diff_layer, unpack_layer
from cachexport.builder.limits import Limits
from cachexport.builder.unpack import Rights

__all__ = ["Copying", "Limits", "Policy", "Rights", "copy_layer", "diff_layer", "unpack_layer"]
