"""Content kept on this machine: blobs, what names and leases hold of them, and garbage collection.

The words are containerd's. A store is a directory that any number of processes use at once::

    store = Store.open(Path("store"), clock=time.time)
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

from cachexport.store.content import Contents
from cachexport.store.directories import Directories, OwnDirectory, Unpacked
from cachexport.store.garbage import Collected
from cachexport.store.images import Image, Images
from cachexport.store.labels import REFERENCE
from cachexport.store.leases import Lease, Leases
from cachexport.store.store import Store
from cachexport.store.writer import Status, Writer

__all__ = [
    "REFERENCE",
    "Collected",
    "Contents",
    "Directories",
    "Image",
    "Images",
    "Lease",
    "Leases",
    "OwnDirectory",
    "Status",
    "Store",
    "Unpacked",
    "Writer",
]
