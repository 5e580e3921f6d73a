"""Merging a cache into the one that a target's name stands for, while others may do so too."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cachexport.content.retry import Retry
from cachexport.errors import Outdated
from cachexport.model.chains import CacheChains
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import requested_form
from cachexport.transfer.prepare import marshalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.content.protocols import Ingester
    from cachexport.contract.export import CommonExport
    from cachexport.contract.reading import Current
    from cachexport.model.config import CacheConfig
    from cachexport.model.envelope.manifest import Form
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_UNTIL_CURRENT = Retry(
    attempts=None, timeout=300.0, first_pause=0.1, longest_pause=5.0, jitter=(0.0, 1.0)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The result of a merge."""

    cache: WrappedCache
    there: frozenset[Digest] = frozenset()
    """Blobs that the target is known to have."""
    is_news: bool = True
    """Whether it differs from what the name stands for now."""


def merge_into(
    current: Current, cache: WrappedCache, ingester: Ingester, common: CommonExport
) -> Merged:
    """Merge a cache into the current one; the newest result of each record wins.

    Results of the current one whose blobs are gone are left out, with a warning: they would only
    break builds. The form is the one asked for, else the current one. Where nothing is new the
    current cache is given back as it is.
    """
    if not current.caches:
        return Merged(cache=cache)
    descs = list({d.digest: d for old in current.caches for d in old.layers}.values())
    gone = ingester.missing(descs)
    if gone:
        _log.warning("left out the results that need %d blobs which are gone", len(gone))
    chains = CacheChains()
    chains.merged = True
    for old in current.caches:
        kept = [desc for desc in old.layers if desc.digest not in gone]
        chains.merge(old.config, kept, old.provider)
    before = _meaning(chains)
    chains.merge(cache.config, cache.layers, cache.provider)
    form = _form(current, cache, common)
    there = frozenset(desc.digest for desc in descs) - gone
    [*_, last] = current.caches
    if isinstance(last, WrappedCache) and not gone and _meaning(chains) == before:
        return Merged(cache=last.in_form(form), there=there, is_news=last.wrapped.form is not form)
    return Merged(cache=marshalled(chains, form), there=there)


def _meaning(chains: CacheChains) -> tuple[CacheConfig, dict[Digest, Descriptor]]:
    config, sources = chains.marshal()
    return config, {digest: source.descriptor for digest, source in sources.items()}


def _form(current: Current, cache: WrappedCache, common: CommonExport) -> Form:
    forms = [old.wrapped.form for old in current.caches if isinstance(old, WrappedCache)]
    default = forms[0] if forms else cache.wrapped.form
    return requested_form(common.image_manifest, common.oci_mediatypes, default)


def until_current(attempt: Callable[[], _T]) -> _T:
    """Call `attempt` until it is not Outdated, and give what it gives.

    Raises Outdated after five minutes of that.
    """
    return _UNTIL_CURRENT.call(attempt, is_temporary=lambda error: isinstance(error, Outdated))
