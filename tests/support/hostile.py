"""A cache whose texts want to be more than text."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cachexport import load_cache
from cachexport.model.envelope.cache import Cache
from cachexport.oci.descriptor import DESCRIPTION
from support import caches

TEXT = "</script><script>alert(1)</script><!-- \u2028 ]]> &amp; <img src=x onerror=alert(2)>"


@dataclass(frozen=True)
class Given:
    """A source that has these caches."""

    found: tuple[Cache, ...]

    def load(self) -> tuple[Cache, ...]:
        return self.found

    def close(self) -> None:
        pass


def hostile_cache() -> Cache:
    [cache] = load_cache(f"type=local,src={caches.FOLDER / 'max'}")
    layers = tuple(
        replace(desc, annotations={**desc.annotations, DESCRIPTION: TEXT}) for desc in cache.layers
    )
    first, *others = cache.config.records
    config = replace(cache.config, records=(replace(first, digest=TEXT), *others))
    return Cache(config=config, layers=layers, provider=cache.provider)
