"""Whether a store answers, lists its blobs, and what the names in question are now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cachexport.backends.objects.load import load_named
from cachexport.contract.checks import Finding, Outcome, failed, note, ok, warning
from cachexport.contract.reading import read_caches
from cachexport.errors import Auth, NotFound, WireFormat
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from cachexport.backends.objects.probe_trial import Trial
    from cachexport.oci.digest import Digest

_ORDER = tuple(Outcome)


class Looking:
    """The checks that write nothing."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def reach(self) -> Finding:
        """See whether the store answers, and lets in who is asking."""
        started = time.perf_counter()
        self._describe()
        milliseconds = round((time.perf_counter() - started) * 1000, 3)
        text = f"{self._trial.client.place} answers, {milliseconds:,.1f} ms there and back"
        return ok(text, milliseconds=milliseconds)

    def list_blobs(self) -> Finding:
        """See whether blobs can be listed, as exports do to know what is there already."""
        keys = self._trial.blobs.keys
        page = self._trial.client.list_page(keys.blobs)
        blobs = sum(keys.digest(item.key) is not None for item in page.objects)
        more = "" if page.is_last else " or more"
        text = f"{blobs:,}{more} blobs below {keys.blobs}" if blobs else "there are no blobs yet"
        return ok(text, blobs=blobs, all=page.is_last)

    def read(self) -> Finding:
        """See what the names are."""
        if self._trial.digest is not None:
            return self._read_digest(self._trial.digest)
        found = {name: self._read_name(name) for name in self._trial.names}
        return next(iter(found.values())) if len(found) == 1 else _joined(found)

    def _describe(self) -> None:
        key = self._trial.name_key
        try:
            self._trial.client.head(key)
        except NotFound:
            return
        except Auth:
            # Who may not list may not hear either that something is not there.
            self._trial.client.list_page(key)

    def _read_digest(self, digest: Digest) -> Finding:
        blobs = self._trial.blobs
        try:
            desc = Descriptor(digest=digest, size=blobs.info(digest).size)
            caches = read_caches(blobs, desc)
        except NotFound as error:
            return failed(error, "check digest=, or read a name")
        if not caches or not isinstance(caches[0], WrappedCache):
            return note("an image and no cache", found="image")
        return _cache(caches[0])

    def _read_name(self, name: str) -> Finding:
        key = self._trial.blobs.keys.name(name)
        try:
            cache, _ = load_named(self._trial.blobs, key)
        except NotFound:
            return ok("there is nothing under this name yet", found="nothing")
        except WireFormat as error:
            return self._stranger(error)
        if not cache.config.records:
            return note("an empty cache, which counts as none", found="nothing")
        return _cache(cache)

    def _stranger(self, error: WireFormat) -> Finding:
        text = f"{error}: no cache"
        if self._trial.force:
            return note(f"{text}; an export replaces it, as force=true says", found="stranger")
        advice = "write to another name=, or replace it with force=true"
        return warning(f"{text}; an export does not replace it", advice, found="stranger")


def _cache(cache: WrappedCache) -> Finding:
    form, records = cache.wrapped.form, len(untied(cache.config).records)
    text = f"a cache with {records:,} records, as {form}"
    return ok(text, found="cache", form=form, records=records)


def _joined(found: dict[str, Finding]) -> Finding:
    """Give the findings about several names as one, as bad as the worst of them."""
    worst = max(found.values(), key=lambda finding: _ORDER.index(finding.outcome))
    caches = sum(finding.facts.get("found") == "cache" for finding in found.values())
    return Finding(
        outcome=worst.outcome,
        text="; ".join(f"{name}: {finding.text}" for name, finding in found.items()),
        advice=worst.advice,
        facts={"names": len(found), "caches": caches},
    )
