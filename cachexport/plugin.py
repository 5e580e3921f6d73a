"""All that the package of a backend may import: these names stay, whatever becomes of the rest.

With `cachexport` itself and `cachexport.errors` this is the public side of the library, and
`cachexport.testing` is that for tests. What else there is may move from one version to the next.
docs/plugins.md tells how the names go together. Each is imported when it is first used, so that
`from cachexport.plugin import …` at the top of a module costs what it names and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cachexport.backends.objects.attrs import ObjectExport, ObjectImport, ObjectNames
    from cachexport.backends.objects.backend import ObjectBackend, Store
    from cachexport.backends.objects.blobs import Blobs
    from cachexport.backends.objects.client import ABSENT, ObjectClient, Page, Stored
    from cachexport.backends.objects.keys import Keys
    from cachexport.backends.objects.place import AgelessPlace, ListedPlace, ObjectPlace
    from cachexport.backends.objects.source import ObjectSource
    from cachexport.backends.objects.target import ObjectTarget
    from cachexport.content.parallel import map_parallel
    from cachexport.content.protocols import (
        Adopter,
        Distributed,
        Info,
        InfoProvider,
        Ingester,
        Placed,
        Provider,
        RangedProvider,
        Reader,
        SizeProvider,
        Staged,
        Stager,
    )
    from cachexport.content.resume import ResumingReader
    from cachexport.content.retry import persistently
    from cachexport.content.verify import BLOCK, open_verified, read_blob
    from cachexport.contract.attributes import (
        attribute,
        boolean,
        flag,
        integer,
        known_attributes,
        one_of,
        path,
        read_attributes,
    )
    from cachexport.contract.backend import Backend, Described, Eager, ManyNamed, Source, Target
    from cachexport.contract.checks import Check, Finding, Outcome, Probe, Probing
    from cachexport.contract.current import Current, read_current
    from cachexport.contract.export import CommonExport
    from cachexport.contract.images import ImageBackend, ImageSource, ImageTarget
    from cachexport.contract.place import (
        Content,
        Contents,
        Entry,
        Hindered,
        Hosting,
        Keeping,
        Needs,
        Place,
        StoredBlob,
        Sweepable,
        Written,
    )
    from cachexport.contract.reading import METADATA_LIMIT, read_caches
    from cachexport.contract.spec import Spec
    from cachexport.contract.units import count, duration, names, size
    from cachexport.model.envelope.cache import Cache, WrappedCache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_NAMES = {
    "content.protocols": (
        *("Adopter", "Distributed", "Info", "InfoProvider", "Ingester"),
        *("Placed", "Provider", "RangedProvider", "Reader", "SizeProvider", "Staged", "Stager"),
    ),
    "content.resume": ("ResumingReader",),
    "content.retry": ("persistently",),
    "content.verify": ("BLOCK", "open_verified", "read_blob"),
    "model.envelope.cache": ("Cache", "WrappedCache"),
    "contract.reading": ("METADATA_LIMIT", "read_caches"),
    "backends.objects.attrs": ("ObjectExport", "ObjectImport", "ObjectNames"),
    "backends.objects.backend": ("ObjectBackend", "Store"),
    "backends.objects.blobs": ("Blobs",),
    "backends.objects.client": ("ABSENT", "ObjectClient", "Page", "Stored"),
    "backends.objects.keys": ("Keys",),
    "backends.objects.place": ("AgelessPlace", "ListedPlace", "ObjectPlace"),
    "backends.objects.source": ("ObjectSource",),
    "backends.objects.target": ("ObjectTarget",),
    "oci.descriptor": ("Descriptor",),
    "oci.digest": ("Digest",),
    "contract.attributes": (
        *("attribute", "boolean", "flag", "integer"),
        *("known_attributes", "one_of", "path", "read_attributes"),
    ),
    "contract.export": ("CommonExport",),
    "contract.spec": ("Spec",),
    "contract.units": ("count", "duration", "names", "size"),
    "contract.current": ("Current", "read_current"),
    "contract.backend": ("Backend", "Described", "Eager", "ManyNamed", "Source", "Target"),
    "contract.images": ("ImageBackend", "ImageSource", "ImageTarget"),
    "content.parallel": ("map_parallel",),
    "contract.place": (
        *("Content", "Contents", "Entry", "Hindered", "Hosting", "Keeping", "Needs"),
        "Place",
        *("StoredBlob", "Sweepable", "Written"),
    ),
    "contract.checks": ("Check", "Finding", "Outcome", "Probe", "Probing"),
}
_HOMES = {name: f"cachexport.{home}" for home, names in _NAMES.items() for name in names}

__all__ = [
    "ABSENT",
    "BLOCK",
    "METADATA_LIMIT",
    "Adopter",
    "AgelessPlace",
    "Backend",
    "Blobs",
    "Cache",
    "Check",
    "CommonExport",
    "Content",
    "Contents",
    "Current",
    "Described",
    "Descriptor",
    "Digest",
    "Distributed",
    "Eager",
    "Entry",
    "Finding",
    "Hindered",
    "Hosting",
    "ImageBackend",
    "ImageSource",
    "ImageTarget",
    "Info",
    "InfoProvider",
    "Ingester",
    "Keeping",
    "Keys",
    "ListedPlace",
    "ManyNamed",
    "Needs",
    "ObjectBackend",
    "ObjectClient",
    "ObjectExport",
    "ObjectImport",
    "ObjectNames",
    "ObjectPlace",
    "ObjectSource",
    "ObjectTarget",
    "Outcome",
    "Page",
    "Place",
    "Placed",
    "Probe",
    "Probing",
    "Provider",
    "RangedProvider",
    "Reader",
    "ResumingReader",
    "SizeProvider",
    "Source",
    "Spec",
    "Staged",
    "Stager",
    "Store",
    "Stored",
    "StoredBlob",
    "Sweepable",
    "Target",
    "WrappedCache",
    "Written",
    "attribute",
    "boolean",
    "count",
    "duration",
    "flag",
    "integer",
    "known_attributes",
    "map_parallel",
    "names",
    "one_of",
    "open_verified",
    "path",
    "persistently",
    "read_attributes",
    "read_blob",
    "read_caches",
    "read_current",
    "size",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
