"""What the reference names now, and whether what was written can be read as caches are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.registry.probe.desk import Role
from cachexport.content.verify import read_blob
from cachexport.contract.checks import failed, note, ok, warning
from cachexport.contract.reading import read_caches
from cachexport.errors import (
    AlreadyExists,
    Auth,
    ContentError,
    Integrity,
    NotFound,
)
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import (
    size_note,
)

if TYPE_CHECKING:
    from cachexport.backends.registry.probe.desk import Desk
    from cachexport.backends.registry.probe.writing import Writing
    from cachexport.contract.checks import Finding


class Reading:
    """The checks that read. What was written, and under which digest, `writing` knows."""

    def __init__(self, desk: Desk, writing: Writing) -> None:
        self._desk = desk
        self._writing = writing

    def read(self) -> Finding:
        """See what the reference names."""
        repository, reference = self._desk.repository(Role.READER), self._desk.reference
        try:
            caches = read_caches(repository, repository.resolve(reference.target))
        except NotFound:
            return ok("there is nothing under this name yet", found="nothing")
        except Auth as error:
            advice = f"docker login {reference.host} as somebody who may pull {reference.name}"
            return failed(error, advice)
        if not caches or not isinstance(caches[0], WrappedCache):
            return self._image(inline=bool(caches))
        form, records = caches[0].wrapped.form, len(untied(caches[0].config).records)
        text = f"a cache with {records:,} records, as {form}"
        wrapped = caches[0].wrapped
        for kind, raw in (("config", wrapped.config), ("manifest", wrapped.manifest)):
            if said := size_note(kind, len(raw)):
                return warning(f"{text}; {said}", "mode=min keeps fewer results", found="cache")
        return ok(text, found="cache", form=form, records=records)

    def read_back(self) -> Finding:
        """See whether what was written comes back the same, and also in parts."""
        expected = self._writing.tagged
        repository = self._desk.repository(Role.READER)
        text = "digests are equal"
        if expected is not None:
            found = repository.resolve(self._desk.tag)
            if found.digest != expected:
                text = self._what_is_made_of_it()
                if not text:
                    text = f"the tag names {found.digest}, written was {expected}"
                    return failed(Integrity(text))
                found = repository.resolve(self._desk.tag)
            read_caches(repository, found)
        read_blob(repository, self._writing.cache.layer_descriptor)
        if self._gives_parts():
            return ok(f"{text}, ranges are honoured", ranges=True)
        return note(
            f"{text}, ranges are not honoured: a download that breaks off starts over",
            ranges=False,
        )

    def _what_is_made_of_it(self) -> str:
        """Say why the tag names no manifest that was written; empty if that is wrong.

        A registry may merge what is pushed with what is there, or serve it in another form. Both
        have what was written last in them.
        """
        first, last = self._writing.cache.record, self._writing.write_other().record
        repository = self._desk.repository(Role.READER)
        try:
            found = repository.resolve(self._desk.tag)
            [cache] = read_caches(repository, found)
        except (ContentError, ValueError):
            return ""
        records = {record.digest for record in cache.config.records}
        if found.digest in self._desk.manifests or last not in records:
            return ""
        self._desk.manifests.append(found.digest)
        if first in records:
            return "what is pushed is merged with what the tag names"
        return "what is pushed is served in another form"

    def _gives_parts(self) -> bool:
        cache = self._writing.cache
        start = len(cache.layer) // 2
        reply = self._desk.ask(
            Role.READER,
            "GET",
            f"{self._desk.path}/blobs/{cache.layer_descriptor.digest}",
            op="read a part of a blob",
            headers={"Range": f"bytes={start}-", "Accept-Encoding": "identity"},
        )
        return reply.body == cache.layer[start:]

    def _image(self, *, inline: bool) -> Finding:
        text = f"an image {'with' if inline else 'without'} an inline cache"
        if self._desk.attrs.force:
            return note(f"{text}; an export replaces it, as force=true says", found="image")
        advice = "write to another tag, or replace it with force=true"
        refused = AlreadyExists(f"{text}; an export does not replace it")
        return (
            failed(refused, advice, found="image")
            if not inline
            else warning(str(refused), advice, found="image")
        )
