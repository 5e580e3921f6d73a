"""Which blobs and manifests a registry takes."""

from __future__ import annotations

import io
import secrets
from typing import TYPE_CHECKING

from cachexport.backends.registry.probe.desk import Role
from cachexport.backends.registry.probe.tiny import make_tiny_cache
from cachexport.backends.registry.trust import lacks_blobs
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError, NotFound, RegistryError
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
    Form,
    requested_form,
)
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.backends.registry.probe.desk import Desk, Reply
    from cachexport.backends.registry.probe.tiny import TinyCache
    from cachexport.contract.checks import Fact, Finding
    from cachexport.oci.descriptor import Descriptor

_ATTRIBUTE = {
    Form.IMAGE_MANIFEST: "image-manifest=true",
    Form.OCI_INDEX: "image-manifest=false",
    Form.DOCKER_LIST: "oci-mediatypes=false",
}
_READERS = {
    Form.IMAGE_MANIFEST: "read by BuildKit, not by Docker 20.10",
    Form.OCI_INDEX: "read by BuildKit and Docker 20.10",
    Form.DOCKER_LIST: "read by BuildKit and Docker 20.10",
}
_SIZES = (4 << 20, IMPORT_LIMIT, 256 << 10, 64 << 10)
"""Bytes of the manifests that are tried until one is taken."""
_NO_FORM = "no form of manifest is taken"
_NOBODY_HAS_IT = '"sha256:' + 64 * "0" + '"'


class Writing:
    """The checks that write blobs and manifests."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._replies: dict[Form, Reply] = {}
        self.cache = make_tiny_cache()
        self.tagged: Digest | None = None
        """What the throw-away tag names."""

    def write(self) -> Finding:
        """See whether blobs can be written as an export does it."""
        descs = [self.cache.layer_descriptor, self.cache.config_descriptor]
        try:
            for desc, raw in zip(descs, (self.cache.layer, self.cache.config), strict=True):
                self._ingest(desc, raw)
        except (BackendError, NotFound) as error:
            return self._not_written(error)
        missing = self._desk.repository(Role.WRITER).missing(descs)
        if missing:
            text = f"{len(missing)} of 2 blobs were taken, and are not there"
            return failed(BackendError(f"{self._desk.place}: {text}", op="write"), text=text)
        return ok("blobs are taken, and are there")

    def form(self, form: Form) -> Finding:
        """See whether a form of manifest is taken."""
        replies = self._put_forms()
        reply, taken = replies[form], [form for form in replies if replies[form].accepted]
        facts: dict[str, Fact] = {"accepted": reply.accepted, "status": reply.status}
        if reply.accepted:
            return ok(f"taken; {_READERS[form]}", **facts)
        text = f"refused ({reply.told})"
        wanted = requested_form(self._desk.attrs.image_manifest, self._desk.attrs.oci_mediatypes)
        if form is not wanted:
            return note(text, "", **facts)
        fallback = _fallback(form)
        if fallback in taken:
            advice = f"{_ATTRIBUTE[fallback]} writes the form {fallback} at once"
            return warning(f"{text}; an export takes {fallback} instead", advice, **facts)
        if taken:
            return failed(reply.error, f"{_ATTRIBUTE[taken[0]]} is taken", text=text, **facts)
        advice = "keep the cache in another registry, or in a directory with type=local"
        return failed(reply.error, advice, text=f"{text}, as all forms are", **facts)

    def replace(self) -> Finding:
        """See whether a tag can be given to another manifest, as every next export does."""
        form = self._taken()
        if form is None:
            return skipped(_NO_FORM)
        raw = self.cache.manifest(form, times=2)
        reply = self._put_tag(form, raw)
        if reply.accepted:
            return ok("a tag can be given to another manifest", status=reply.status)
        return warning(
            f"a tag that is there cannot be written again ({reply.told})",
            "let tags be replaced in this repository (mutable tags), or write each export to "
            "a tag of its own",
            status=reply.status,
        )

    def write_other(self) -> TinyCache:
        """Give the tag to a cache of another record, which the registry has to take."""
        form, other = self._taken(), self.cache.other()
        if form is not None:
            self._ingest(other.config_descriptor, other.config)
            self._put_tag(form, other.manifest(form))
        return other

    def missing_blobs(self) -> Finding:
        """See whether a manifest is taken that names a blob which is not there."""
        form = self._taken()
        if form is None:
            return skipped(_NO_FORM)
        raw = self.cache.manifest(form, absent=Digest.of(secrets.token_bytes(32)))
        reply = self._desk.put_manifest("", raw, form.media_type)
        facts: dict[str, Fact] = {
            "status": reply.status,
            "trust_existing": _is_blob_unknown(reply),
        }
        if _is_blob_unknown(reply):
            return ok(f"refused ({reply.status}): trust-existing=true is safe", **facts)
        if reply.accepted:
            text = "manifests that name missing blobs are taken"
        else:
            text = f"refused, but not for the blob ({reply.told})"
        if not self._desk.attrs.trust_existing:
            return note(f"{text}: trust-existing=true would save nothing", "", **facts)
        return warning(f"{text}: trust-existing=true saves nothing", "leave it out", **facts)

    def large_manifest(self) -> Finding:
        """See how long a manifest may be."""
        form = self._taken()
        if form is None:
            return skipped(_NO_FORM)
        if not self._desk.may_delete:
            return skipped(f"one of {_binary(_SIZES[0])} could not be deleted again")
        refusal = ""
        for size in _SIZES:
            refused = self._try_size(form, size)
            if not refused:
                return _longest(size, refusal)
            refusal = f"{_binary(size)} is refused ({refused})"
        return _longest(0, refusal)

    def merge(self) -> Finding:
        """See whether a write can be bound to what the tag names now."""
        form = self._taken()
        if form is None:
            return skipped(_NO_FORM)
        raw = self.cache.manifest(form, times=3)
        reply = self._put_tag(form, raw, {"If-Match": _NOBODY_HAS_IT})
        if reply.status == 412:
            return ok("writes can be bound to what is there", conditional=True)
        return note(
            "no conditional writes: merge=true looks at the tag again up to 5 s after it has "
            "written; a writer slower than that still undoes a merge",
            "where each entry counts, let one job write, or each a tag of its own",
            conditional=False,
        )

    def _ingest(self, desc: Descriptor, raw: bytes) -> None:
        self._desk.blobs.append(desc.digest)
        repository = self._desk.repository(Role.WRITER)
        try:
            repository.retry.call(lambda: repository.ingest(desc, io.BytesIO(raw)))
        except Auth:
            self._desk.blobs.remove(desc.digest)
            raise

    def _not_written(self, error: BackendError | NotFound) -> Finding:
        reference = self._desk.reference
        if isinstance(error, Auth):
            advice = f"docker login {reference.host} as somebody who may push to {reference.name}"
            return failed(error, advice)
        if isinstance(error, NotFound):
            # To a caller NotFound means that there is no cache to read.
            advice = f"make the repository or project of {reference.name} first"
            return failed(BackendError(str(error), op="write"), advice)
        if isinstance(error, RegistryError) and error.status == 405:
            return failed(error, "this is a mirror or read-only: write to the registry behind it")
        return failed(error)

    def _put_forms(self) -> dict[Form, Reply]:
        """Put all forms at once: what to do about one depends on the others."""
        if not self._replies:
            self._replies = {form: self._put_form(form) for form in Form}
        return self._replies

    def _put_form(self, form: Form) -> Reply:
        raw = self.cache.manifest(form)
        # A tag costs more to get rid of than a digest: there is one for all.
        is_first = self.tagged is None
        return self._put_tag(form, raw) if is_first else self._put_digest(form, raw)

    def _put_tag(self, form: Form, raw: bytes, headers: dict[str, str] | None = None) -> Reply:
        reply = self._desk.put_manifest(self._desk.tag, raw, form.media_type, headers)
        if reply.accepted:
            self.tagged = Digest.of(raw)
        return reply

    def _put_digest(self, form: Form, raw: bytes) -> Reply:
        return self._desk.put_manifest("", raw, form.media_type)

    def _try_size(self, form: Form, size: int) -> str:
        """Put a manifest of this size; say why not, if it is refused."""
        try:
            reply = self._put_digest(form, self.cache.manifest_of_size(form, size))
        except BackendError as error:
            # A proxy that has heard enough may hang up instead of answering.
            return str(error)
        return "" if reply.accepted else reply.told

    def _taken(self) -> Form | None:
        """Give a form that is taken: that of an export, if it is."""
        attrs = self._desk.attrs
        wanted = requested_form(attrs.image_manifest, attrs.oci_mediatypes)
        forms = (wanted, _fallback(wanted), *Form)
        return next((form for form in forms if self._put_forms()[form].accepted), None)


def _fallback(form: Form) -> Form:
    """Give the form that an export takes when one is refused."""
    return Form.OCI_INDEX if form is Form.IMAGE_MANIFEST else Form.IMAGE_MANIFEST


def _is_blob_unknown(reply: Reply) -> bool:
    error = reply.error
    return not reply.accepted and isinstance(error, RegistryError) and lacks_blobs(error)


def _longest(size: int, refusal: str) -> Finding:
    facts = {"accepted_bytes": size}
    if size >= IMPORT_LIMIT:
        return ok(f"{_binary(size)} is taken; BuildKit imports {_binary(IMPORT_LIMIT)}", **facts)
    text = f"{_binary(size)} is taken, {refusal}" if size else refusal
    advice = "mode=min keeps fewer results; a tag for each part of the build keeps each small"
    return warning(text, advice, **facts)


def _binary(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
