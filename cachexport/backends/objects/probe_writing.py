"""Whether blobs and names can be written and come back as they were."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING

from cachexport.content.verify import BLOCK, read_blob
from cachexport.contract.checks import failed, ok, warning
from cachexport.errors import Auth, BackendError, Integrity, NotFound

if TYPE_CHECKING:
    from cachexport.backends.objects.probe_trial import Trial
    from cachexport.contract.checks import Finding

_METADATA = {"cachexport-doctor": "may-be-deleted"}


class Writing:
    """The checks of what every export does."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def write(self) -> Finding:
        """See whether a blob can be written, and is there."""
        trial = self._trial
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

    def read_back(self) -> Finding:
        """See whether the blob comes back the same, and also from its middle on."""
        trial, middle = self._trial, len(self._trial.blob) // 2
        read_blob(trial.blobs, trial.descriptor)
        with closing(trial.client.read(trial.blob_key, start=middle)) as reader:
            rest = b"".join(iter(lambda: reader.read(BLOCK), b""))
        if rest != trial.blob[middle:]:
            return warning(
                "digests are equal, ranges are not honoured: a download that breaks off fails",
                "ask the store, or a proxy before it, to honour Range",
                ranges=False,
            )
        return ok("digests are equal, ranges are honoured", ranges=True)

    def list_after(self) -> Finding:
        """See whether a listing has what was just written, and can begin after a key."""
        trial, key = self._trial, self._trial.blob_key
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

    def replace(self) -> Finding:
        """See whether a name can be written twice, and tells what it was given last."""
        trial = self._trial
        key, raw = trial.own_key(trial.name_key), trial.content()
        trial.client.replace(key, trial.content(), {}, version=None)
        version = trial.client.replace(key, raw, _METADATA, version=None)
        found, stored = trial.client.load(key)
        if found != raw:
            error = Integrity(f"{trial.client.place}/{key} is not what was written last")
            return failed(error, "use a store in which reads see the last write")
        return _described(version, stored.version, kept=stored.metadata == _METADATA)


def _described(written: str, read: str, *, kept: bool) -> Finding:
    if written != read:
        return warning(
            f"the version of a write ({written}) is another one when read ({read}): merge=true "
            "never gets through",
            "let no proxy change ETags, or leave merge=true out",
            metadata=kept,
        )
    if not kept:
        return warning(
            "metadata of a name is not kept: every cache is read as an image manifest, with "
            "another digest than it was exported with",
            "let the store, or a proxy before it, keep metadata",
            metadata=False,
        )
    return ok("a name can be given to another cache, its metadata is kept", metadata=True)
