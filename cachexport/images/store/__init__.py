"""Content kept on this machine: blobs, what names and leases hold of them, and garbage collection.

The words are containerd's. A store is a directory that any number of processes use at once::

    store = Store.open(Path("store"))
    with store.leases.held(seconds=3600) as lease:
        content = store.content.under(lease)
        copy_blob(source, content, layer)
        copy_blob(source, content, manifest)  # its children are held by it
        store.images.create("app:latest", manifest)
    store.collect_garbage()
    store.close()

Content is held by an image name or by a lease that lives, and by other content that is held; the
rest is garbage. So whoever puts something in works under a lease until it has its name.
"""

from typing import Any

from cachexport.images.store.content import StoreContent
from cachexport.images.store.directories import Directories, OwnDirectory, Unpacked
from cachexport.images.store.garbage import Collected
from cachexport.images.store.images import Images, NamedImage
from cachexport.images.store.index import REFERENCE
from cachexport.images.store.ingestion import Status, Writer
from cachexport.images.store.leases import Lease, Leases
from cachexport.images.store.store import Store
from cachexport.public import find_renamed

_RENAMED = {"Contents": "StoreContent", "Image": "NamedImage"}

__all__ = [
    "REFERENCE",
    "Collected",
    "Directories",
    "Images",
    "Lease",
    "Leases",
    "NamedImage",
    "OwnDirectory",
    "Status",
    "Store",
    "StoreContent",
    "Unpacked",
    "Writer",
]


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        return find_renamed(__name__, name, _RENAMED)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
