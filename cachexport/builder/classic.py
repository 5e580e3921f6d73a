"""The old name of `cachexport.images.builder.classic`, which stays for one minor version."""

from cachexport.public import find_moved

__getattr__ = find_moved(__name__, "cachexport.images.builder.classic")
