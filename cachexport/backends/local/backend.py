"""The entry point `local`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachexport.backends.local.place import LocalPlace
    from cachexport.contract.backend import Backend, Source, Target
    from cachexport.contract.checks import Probe
    from cachexport.contract.images import ImageTarget
    from cachexport.contract.spec import Spec


class LocalBackend:
    """Makes sources and targets of `type=local`. Imports late, since most runs use a few only."""

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        from cachexport.backends.local.attrs import LocalExport, LocalImport

        return LocalImport, LocalExport

    def source(self, spec: Spec, /) -> Source:
        """See Backend."""
        from cachexport.backends.local.attrs import LocalExport, LocalImport
        from cachexport.backends.local.source import LocalSource
        from cachexport.contract.attributes import known_attributes, read_attributes

        attrs = read_attributes(LocalImport, spec, ignored=known_attributes(LocalExport))
        return LocalSource(attrs)

    def target(self, spec: Spec, /) -> Target:
        """See Backend."""
        from cachexport.backends.local.attrs import LocalExport, LocalImport
        from cachexport.backends.local.target import LocalTarget
        from cachexport.contract.attributes import known_attributes, read_attributes

        attrs = read_attributes(LocalExport, spec, ignored=known_attributes(LocalImport))
        return LocalTarget(attrs)

    def image_target(self, spec: Spec, /) -> ImageTarget:
        """See ImageBackend."""
        from cachexport.backends.local.attrs import LocalImagePush
        from cachexport.backends.local.images import LocalImageTarget
        from cachexport.contract.attributes import read_attributes

        return LocalImageTarget(read_attributes(LocalImagePush, spec))

    def place(self, spec: Spec, /) -> LocalPlace:
        """See PlaceBackend. The directory is `src` or else `dest`."""
        from cachexport.backends.local.place import local_place

        return local_place(spec)

    def name(self, spec: Spec, /) -> str | None:
        """See PlaceBackend."""
        return None if "digest" in spec.attrs else spec.attrs.get("tag", "latest")

    def probe(self, spec: Spec, /) -> Probe:
        """See Probing. A specification without `dest` is that of a source."""
        from cachexport.backends.local.attrs import LocalExport, LocalImport
        from cachexport.backends.local.checks import LocalProbe
        from cachexport.contract.attributes import known_attributes, read_attributes

        if "src" in spec.attrs and "dest" not in spec.attrs:
            names = known_attributes(LocalExport)
            return LocalProbe(read_attributes(LocalImport, spec, ignored=names))
        names = known_attributes(LocalImport)
        return LocalProbe(read_attributes(LocalExport, spec, ignored=names))


backend: Backend = LocalBackend()
