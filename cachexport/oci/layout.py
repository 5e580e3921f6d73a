"""Where things are in an OCI image layout, be it a directory or an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachexport.oci.digest import Digest

INDEX = "index.json"
"""The file that names what is in the layout."""
LAYOUT = "oci-layout"
"""The file that says that it is one."""
LAYOUT_MARK = b'{"imageLayoutVersion":"1.0.0"}'
"""What that file has in it."""


def blob_path(digest: Digest) -> str:
    """Give the path of a blob's file."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"
