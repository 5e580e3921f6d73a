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
        from cachexport.backends.local.attrs import read_import
        from cachexport.backends.local.source import LocalSource

        return LocalSource(read_import(spec))

    def target(self, spec: Spec, /) -> Target:
        """See Backend."""
        from cachexport.backends.local.attrs import read_export
        from cachexport.backends.local.target import LocalTarget

        return LocalTarget(read_export(spec))

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
        from cachexport.backends.local.attrs import read_export, read_import
        from cachexport.backends.local.checks import LocalProbe

        is_source = "src" in spec.attrs and "dest" not in spec.attrs
        return LocalProbe(read_import(spec) if is_source else read_export(spec))


backend: Backend = LocalBackend()
