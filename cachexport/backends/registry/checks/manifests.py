"""Which manifests a registry takes, and whether it deletes them."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from cachexport.backends.registry.checks.desk import Role
from cachexport.backends.registry.repository import HOW_TO_DELETE
from cachexport.backends.registry.target import lacks_blobs
from cachexport.contract.checks import failed, note, ok, skipped, warning
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, RegistryError
from cachexport.model.envelope.manifest import IMPORT_LIMIT, Form, requested_form
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import RegistryDesk, Reply
    from cachexport.backends.registry.checks.tiny import TinyCache
    from cachexport.contract.checks import Fact, Finding

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
_NEVER_THERE = '"sha256:' + 64 * "0" + '"'
"""An ETag that no manifest has."""

_log = logging.getLogger(__name__)


def check_form(form: Form, desk: RegistryDesk) -> Finding:
    """See whether a form of manifest is taken."""
    replies = _put_forms(desk)
    reply, taken = replies[form], [form for form in replies if replies[form].accepted]
    facts: dict[str, Fact] = {"accepted": reply.accepted, "status": reply.status}
    if reply.accepted:
        return ok(f"taken; {_READERS[form]}", **facts)
    text = f"refused ({reply.reason})"
    if form is not _requested_form(desk):
        return note(text, "", **facts)
    fallback = _fallback(form)
    if fallback in taken:
        advice = f"{_ATTRIBUTE[fallback]} writes the form {fallback} at once"
        return warning(f"{text}; an export takes {fallback} instead", advice, **facts)
    if taken:
        return failed(reply.error, f"{_ATTRIBUTE[taken[0]]} is taken", text=text, **facts)
    advice = "keep the cache in another registry, or in a directory with type=local"
    return failed(reply.error, advice, text=f"{text}, as all forms are", **facts)


def replace(desk: RegistryDesk) -> Finding:
    """See whether a tag can be given to another manifest, as every next export does."""
    form = _taken_form(desk)
    if form is None:
        return skipped(_NO_FORM)
    raw = desk.facts.cache.manifest(form, times=2)
    reply = desk.put_manifest(desk.tag, raw, form.media_type)
    if reply.accepted:
        return ok("a tag can be given to another manifest", status=reply.status)
    text = f"a tag that is there cannot be written again ({reply.reason})"
    return warning(text, status=reply.status)


def write_other(desk: RegistryDesk) -> TinyCache:
    """Give the throw-away tag to a cache with another record, if any form is taken."""
    form, other = _taken_form(desk), desk.facts.cache.other()
    if form is not None:
        desk.ingest(other.config_descriptor, other.config)
        desk.put_manifest(desk.tag, other.manifest(form), form.media_type)
    return other


def missing_blobs(desk: RegistryDesk) -> Finding:
    """See whether the registry refuses a manifest that names a blob which is not there."""
    form = _taken_form(desk)
    if form is None:
        return skipped(_NO_FORM)
    raw = desk.facts.cache.manifest(form, absent=Digest.of(secrets.token_bytes(32)))
    reply = desk.put_manifest("", raw, form.media_type)
    error = reply.error
    refused = not reply.accepted and isinstance(error, RegistryError) and lacks_blobs(error)
    facts: dict[str, Fact] = {"status": reply.status, "trust_existing": refused}
    if refused:
        return ok(f"refused ({reply.status}): trust-existing=true is safe", **facts)
    if reply.accepted:
        text = "manifests that name missing blobs are taken"
    else:
        text = f"refused, but not for the blob ({reply.reason})"
    if not desk.attrs.trust_existing:
        return note(f"{text}: trust-existing=true would save nothing", "", **facts)
    return warning(f"{text}: trust-existing=true saves nothing", "", **facts)


def merge(desk: RegistryDesk) -> Finding:
    """See whether the registry makes a write depend on what the tag names (`If-Match`)."""
    form = _taken_form(desk)
    if form is None:
        return skipped(_NO_FORM)
    raw = desk.facts.cache.manifest(form, times=3)
    reply = desk.put_manifest(desk.tag, raw, form.media_type, {"If-Match": _NEVER_THERE})
    if reply.status == 412:
        return ok("writes can be bound to what is there", conditional=True)
    return note(
        "no conditional writes: merge=true looks at the tag again up to 5 s after it has "
        "written; a writer slower than that still undoes a merge",
        "where each entry counts, let one job write, or each a tag of its own",
        conditional=False,
    )


def delete(desk: RegistryDesk) -> Finding:
    """See whether manifests can be deleted by their digests."""
    manifests = desk.facts.manifests
    if not manifests:
        return skipped("there is no manifest to delete")
    for digest in list(manifests):
        reply = desk.delete("manifests", digest)
        if digest in manifests:
            advice = HOW_TO_DELETE
            if reply.status in (401, 403):
                advice = f"docker login {desk.reference.host} as somebody who may delete"
            text = f"manifests cannot be deleted ({reply.reason}): old caches stay"
            return warning(text, advice, status=reply.status)
    desk.facts.may_delete = True
    return ok("manifests can be deleted by digest", status=reply.status)


def large_manifest(desk: RegistryDesk) -> Finding:
    """See how long a manifest may be."""
    form = _taken_form(desk)
    if form is None:
        return skipped(_NO_FORM)
    if not desk.facts.may_delete:
        return skipped(f"one of {_binary(_SIZES[0])} could not be deleted again")
    refusal = ""
    for size in _SIZES:
        raw = desk.facts.cache.manifest_of_size(form, size)
        try:
            reply = desk.put_manifest("", raw, form.media_type)
            refused = "" if reply.accepted else reply.reason
        except BackendError as error:
            # A proxy may hang up in the middle of a long request instead of answering.
            refused = str(error)
        if not refused:
            break
        refusal = f"{_binary(size)} is refused ({refused})"
    else:
        return warning(refusal, accepted_bytes=0)
    if size < IMPORT_LIMIT:
        return warning(f"{_binary(size)} is taken, {refusal}", accepted_bytes=size)
    text = f"{_binary(size)} is taken; BuildKit imports {_binary(IMPORT_LIMIT)}"
    return ok(text, accepted_bytes=size)


def clean_up(desk: RegistryDesk) -> Finding:
    """Delete what is left, and say what cannot be deleted."""
    tag = _remove(desk)
    manifests, blobs = len(desk.facts.manifests), len(desk.facts.blobs)
    facts: dict[str, Fact] = {
        "left_tag": tag or None,
        "left_manifests": manifests,
        "left_blobs": blobs,
    }
    if tag:
        return warning(f"{desk.place}:{tag} is left", "", **facts)
    if manifests or blobs:
        text = f"{manifests} manifests and {blobs} blobs, all small, are left without a tag"
        return note(f"{text}: garbage collection takes them", "", **facts)
    return ok("nothing is left", **facts)


def remove_rest(desk: RegistryDesk) -> None:
    """Delete what is left of checks that did not run to their end. Raises no CachexportError."""
    facts = desk.facts
    if not (facts.manifests or facts.blobs) or facts.is_clean:
        return
    try:
        tag = _remove(desk)
    except CachexportError as error:
        tag = desk.tag if facts.manifests else ""
        _log.info("cannot remove what was tried: %s", error)
    if tag:
        _log.warning("%s:%s is left there; remove it", desk.place, tag)


def _remove(desk: RegistryDesk) -> str:
    """Delete all that can be, and give the tag if it is still there.

    Nobody else has the bytes of what was written, so nothing of anybody else's goes with it.
    """
    desk.facts.is_clean = True
    _delete_all(desk)
    # Some registries delete a tag by its name only.
    if _is_tagged(desk):
        desk.delete_tag()
    return desk.tag if _is_tagged(desk) else ""


def _delete_all(desk: RegistryDesk) -> None:
    for kind, digests in (("manifests", desk.facts.manifests), ("blobs", desk.facts.blobs)):
        for digest in list(digests):
            try:
                desk.delete(kind, digest)
            except Auth:
                return
            if digest in digests:
                break  # the others would be refused for the same reason


def _is_tagged(desk: RegistryDesk) -> bool:
    try:
        desk.repository(Role.READER).resolve(desk.tag)
    except NotFound:
        return False
    return True


def _put_forms(desk: RegistryDesk) -> dict[Form, Reply]:
    """Put all forms at once: the advice about one depends on the others."""
    facts = desk.facts

    def put(form: Form) -> Reply:
        # One tag for all: a tag is harder to delete than a digest.
        target = desk.tag if facts.tagged is None else ""
        return desk.put_manifest(target, facts.cache.manifest(form), form.media_type)

    if not facts.forms:
        facts.forms = {form: put(form) for form in Form}
    return facts.forms


def _taken_form(desk: RegistryDesk) -> Form | None:
    """Give a form that is taken: the one that an export writes, if possible."""
    wanted, replies = _requested_form(desk), _put_forms(desk)
    forms = (wanted, _fallback(wanted), *Form)
    return next((form for form in forms if replies[form].accepted), None)


def _requested_form(desk: RegistryDesk) -> Form:
    return requested_form(desk.attrs.image_manifest, desk.attrs.oci_mediatypes)


def _fallback(form: Form) -> Form:
    """Give the form that an export takes when one is refused."""
    return Form.OCI_INDEX if form is Form.IMAGE_MANIFEST else Form.IMAGE_MANIFEST


def _binary(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
