"""A backend over any store of objects: it has to say only how the store is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.objects.client import ObjectClient
    from cachexport.backends.objects.layout import Blobs, Keys
    from cachexport.backends.objects.place import ListedPlace
    from cachexport.contract.backend import Source, Target
    from cachexport.contract.checks import Probe
    from cachexport.contract.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store as a specification names it. Nothing has been asked of it yet."""

    client: ObjectClient
    keys: Keys
    root: str = ""
    """What the keys of blobs and of names begin with."""
    sweeps: bool = True
    """Whether the store tells when objects were written, and can touch and delete them.

    If not, exports touch nothing there, and prune refuses: it could remove names only.
    """


class ObjectBackend:
    """A Backend, with all that is optional, over what `open_store` opens.

    A subclass gives `kind`, `attributes` and `open_store`. It imports what it needs inside of them:
    commands that do not use it start without it.
    """

    kind: ClassVar[str]
    """What stands after `type=`."""
    reads_all_names: ClassVar[bool] = False
    """Whether a source of several names is all of them, else it is the first."""

    def attributes(self) -> tuple[type, type]:
        """See Described. The classes have the fields of ObjectImport and of ObjectExport."""
        raise NotImplementedError

    def open_store(self, attrs: Any, /) -> Store:
        """Give the store that attributes of either class name. Raises InvalidAttr."""
        raise NotImplementedError

    def source(self, spec: Spec, /) -> Source:
        """See Backend."""
        from cachexport.backends.objects.source import ObjectSource

        attrs = self._read(spec, as_target=False)
        names = attrs.name if self.reads_all_names else attrs.name[:1]
        return ObjectSource(_blobs(self.open_store(attrs)), names, attrs.digest)

    def target(self, spec: Spec, /) -> Target:
        """See Backend."""
        from cachexport.backends.objects.target import ObjectTarget

        attrs = self._read(spec, as_target=True)
        blobs = _blobs(self.open_store(attrs), attrs.touch_refresh)
        return ObjectTarget(attrs, blobs, attrs.name[0], force=attrs.force)

    def split(self, spec: Spec, /) -> tuple[Spec, ...]:
        """See ManyNamed."""
        from cachexport.contract.units import names

        try:
            several = names(spec.attrs.get("name", ""))
        except ValueError:
            return (spec,)
        return tuple(replace(spec, attrs={**spec.attrs, "name": name}) for name in several)

    def place(self, spec: Spec, /) -> ListedPlace:
        """See PlaceBackend: all names of the store. Blobs are swept where the store allows that."""
        from cachexport.backends.objects.place import AgelessPlace, ObjectPlace

        given = {key: value for key, value in spec.attrs.items() if key != "digest"}
        attrs = self._read(replace(spec, attrs=given), as_target=True)
        store = self.open_store(attrs)

        def named(name: str, *, force: bool = False) -> Spec:
            return replace(spec, attrs=_named(given, name, force))

        content = _blobs(store, attrs.touch_refresh)
        made = ObjectPlace if store.sweeps else AgelessPlace
        return made(content=content, root=store.root, source=named, target=named)

    def name(self, spec: Spec, /) -> str | None:
        """See PlaceBackend. Of several names the first counts."""
        if "digest" in spec.attrs:
            return None
        return spec.attrs.get("name", "buildkit").partition(";")[0]

    def probe(self, spec: Spec, /) -> Probe:
        """See Probing. What names a digest is a source."""
        from cachexport.backends.objects.checks.table import ObjectProbe
        from cachexport.backends.objects.checks.trial import Trial

        attrs = self._read(spec, as_target="digest" not in spec.attrs)
        digest, force = getattr(attrs, "digest", None), getattr(attrs, "force", False)
        blobs = _blobs(self.open_store(attrs))
        return ObjectProbe(Trial(blobs=blobs, names=attrs.name, digest=digest, force=force))

    def _read(self, spec: Spec, *, as_target: bool) -> Any:
        from cachexport.contract.attributes import known_attributes, read_attributes

        source, target = self.attributes()
        meant, other = (target, source) if as_target else (source, target)
        return read_attributes(meant, spec, ignored=known_attributes(other))


def _blobs(store: Store, touch_refresh: float | None = None) -> Blobs:
    from cachexport.backends.objects.layout import Blobs

    blobs = Blobs(client=store.client, keys=store.keys)
    if not store.sweeps:
        return replace(blobs, touch_refresh=math.inf)
    return blobs if touch_refresh is None else replace(blobs, touch_refresh=touch_refresh)


def _named(attrs: Mapping[str, str], name: str, force: bool) -> dict[str, str]:
    return {**attrs, "name": name, **({"force": "true"} if force else {})}
