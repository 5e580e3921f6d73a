"""Whether a store answers, and whether blobs and names come back as they were written."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.backends.objects.names import load_named
from cachexport.content.clock import clock
from cachexport.content.verify import BLOCK, read_blob
from cachexport.contract.checks import Finding, Outcome, failed, note, ok, warning
from cachexport.contract.reading import read_caches
from cachexport.errors import Auth, BackendError, Integrity, NotFound, WireFormat
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from cachexport.backends.objects.checks.trial import Trial
    from cachexport.oci.digest import Digest

_ORDER = tuple(Outcome)
_METADATA = {"cachexport-doctor": "may-be-deleted"}


def reach(trial: Trial) -> Finding:
    """See whether the store answers, and lets in who is asking."""
    started = clock().monotonic()
    try:
        trial.client.head(trial.name_key)
    except NotFound:
        pass
    except Auth:
        # A login that may not list may be refused the description of a missing object too.
        trial.client.list_page(trial.name_key)
    milliseconds = round((clock().monotonic() - started) * 1000, 3)
    text = f"{trial.client.place} answers, {milliseconds:,.1f} ms there and back"
    return ok(text, milliseconds=milliseconds)


def list_blobs(trial: Trial) -> Finding:
    """See whether blobs can be listed, as exports do to know what is there already."""
    keys = trial.blobs.keys
    page = trial.client.list_page(keys.blobs)
    blobs = sum(keys.digest(item.key) is not None for item in page.objects)
    more = "" if page.is_last else " or more"
    text = f"{blobs:,}{more} blobs below {keys.blobs}" if blobs else "there are no blobs yet"
    return ok(text, blobs=blobs, all=page.is_last)


def read(trial: Trial) -> Finding:
    """See what the names are."""
    if trial.digest is not None:
        return _read_digest(trial, trial.digest)
    found = {name: _read_name(trial, name) for name in trial.names}
    return next(iter(found.values())) if len(found) == 1 else _joined(found)


def _read_digest(trial: Trial, digest: Digest) -> Finding:
    try:
        desc = Descriptor(digest=digest, size=trial.blobs.info(digest).size)
        caches = read_caches(trial.blobs, desc)
    except NotFound as error:
        return failed(error, "check digest=, or read a name")
    if not caches or not isinstance(caches[0], WrappedCache):
        return note("an image and no cache", found="image")
    return _describe(caches[0])


def _read_name(trial: Trial, name: str) -> Finding:
    try:
        cache, _ = load_named(trial.blobs, trial.blobs.keys.name(name))
    except NotFound:
        return ok("there is nothing under this name yet", found="nothing")
    except WireFormat as error:
        text = f"{error}: no cache"
        if trial.force:
            return note(f"{text}; an export replaces it, as force=true says", found="stranger")
        advice = "write to another name=, or replace it with force=true"
        return warning(f"{text}; an export does not replace it", advice, found="stranger")
    if not cache.config.records:
        return note("an empty cache, which counts as none", found="nothing")
    return _describe(cache)


def _describe(cache: WrappedCache) -> Finding:
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


def write(trial: Trial) -> Finding:
    """See whether a blob can be written, and is there."""
    key, raw = trial.own_key(trial.blob_key), trial.blob
    try:
        trial.blobs.ingest(trial.descriptor, io.BytesIO(raw))
    except Auth:
        trial.forget(key)
        raise
    try:
        size = trial.client.head(key).size
    except NotFound:
        size = None
    if size != len(raw):
        found = "is not there" if size is None else f"has {size:,}"
        text = f"a blob of {len(raw):,} bytes was taken, and {found}"
        return failed(BackendError(f"{trial.client.place}: {text}", op="write"), text=text)
    return ok("a blob is taken, and is there")


def read_back(trial: Trial) -> Finding:
    """See whether the blob comes back the same, and also from its middle on."""
    middle = len(trial.blob) // 2
    read_blob(trial.blobs, trial.descriptor)
    with closing(trial.client.read(trial.blob_key, start=middle)) as reader:
        rest = b"".join(iter(lambda: reader.read(BLOCK), b""))
    if rest != trial.blob[middle:]:
        text = "digests are equal, ranges are not honoured: a download that breaks off fails"
        return warning(text, ranges=False)
    return ok("digests are equal, ranges are honoured", ranges=True)


def list_after(trial: Trial) -> Finding:
    """See whether a listing has what was just written, and can begin after a key."""
    key = trial.blob_key
    listed = trial.client.list_page(key[:-1], after=key[:-1]).objects
    if key not in {item.key for item in listed}:
        return warning(
            "what has been written is not listed yet: blobs that are there are sent again",
            "use a store whose listings are always up to date",
            listed=False,
        )
    if trial.client.list_page(key[:-1], after=key).objects:
        return warning(
            "a listing always begins at its start: among many blobs each is asked for alone",
            "give this cache a prefix= of its own, so that there are few",
            listed=True,
            after=False,
        )
    return ok("what was just written is listed, from any key on", listed=True, after=True)


def replace(trial: Trial) -> Finding:
    """See whether a name can be written twice, and tells what it was given last."""
    key, raw = trial.own_key(trial.name_key), trial.content()
    trial.client.replace(key, trial.content(), {}, version=None)
    version = trial.client.replace(key, raw, _METADATA, version=None)
    found, stored = trial.client.load(key)
    if found != raw:
        error = Integrity(f"{trial.client.place}/{key} is not what was written last")
        return failed(error, "use a store in which reads see the last write")
    is_kept = stored.metadata == _METADATA
    if version != stored.version:
        return warning(
            f"the version of a write ({version}) is another one when read ({stored.version}): "
            "merge=true never gets through",
            "let no proxy change ETags, or leave merge=true out",
            metadata=is_kept,
        )
    if not is_kept:
        return warning(
            "metadata of a name is not kept: every cache is read as an image manifest, with "
            "another digest than it was exported with",
            "let the store, or a proxy before it, keep metadata",
            metadata=False,
        )
    return ok("a name can be given to another cache, its metadata is kept", metadata=True)
