"""What the reference names, whether blobs can be written and read, and the ways to send them."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from cachexport.backends.registry.checks.desk import Role
from cachexport.backends.registry.checks.manifests import write_other
from cachexport.backends.registry.errors import network
from cachexport.content.verify import read_blob
from cachexport.contract.checks import failed, note, ok, warning
from cachexport.contract.reading import METADATA_LIMIT, read_caches
from cachexport.errors import (
    AlreadyExists,
    Auth,
    BackendError,
    CachexportError,
    ContentError,
    Integrity,
    NotFound,
    RegistryError,
)
from cachexport.model.chains.tie import untied
from cachexport.model.envelope.cache import WrappedCache
from cachexport.model.envelope.manifest import decode_manifest, size_note
from cachexport.oci import gojson, mediatype
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import RegistryDesk, Reply
    from cachexport.contract.checks import Finding
    from cachexport.oci.descriptor import Descriptor

_MANIFESTS = mediatype.MANIFESTS | mediatype.INDEXES
_CHUNK = 32
"""Bytes of each of the two chunks of an upload."""


def read(desk: RegistryDesk) -> Finding:
    """See what the reference names."""
    repository, reference = desk.repository(Role.READER), desk.reference
    try:
        caches = read_caches(repository, repository.resolve(reference.target))
    except NotFound:
        return ok("there is nothing under this name yet", found="nothing")
    except Auth as error:
        advice = f"docker login {reference.host} as somebody who may pull {reference.name}"
        return failed(error, advice)
    if not caches or not isinstance(caches[0], WrappedCache):
        return _image(force=desk.attrs.force, inline=bool(caches))
    wrapped, records = caches[0].wrapped, len(untied(caches[0].config).records)
    text = f"a cache with {records:,} records, as {wrapped.form}"
    for kind, raw in (("config", wrapped.config), ("manifest", wrapped.manifest)):
        if too_large := size_note(kind, len(raw)):
            return warning(f"{text}; {too_large}", "mode=min keeps fewer results", found="cache")
    return ok(text, found="cache", form=wrapped.form, records=records)


def _image(*, force: bool, inline: bool) -> Finding:
    text = f"an image {'with' if inline else 'without'} an inline cache"
    if force:
        return note(f"{text}; an export replaces it, as force=true says", found="image")
    advice = "write to another tag, or replace it with force=true"
    refused = AlreadyExists(f"{text}; an export does not replace it")
    if inline:
        return warning(str(refused), advice, found="image")
    return failed(refused, advice, found="image")


def write(desk: RegistryDesk) -> Finding:
    """See whether blobs can be written as an export does it."""
    cache, reference = desk.facts.cache, desk.reference
    descs = [cache.layer_descriptor, cache.config_descriptor]
    try:
        for desc, raw in zip(descs, (cache.layer, cache.config), strict=True):
            desk.ingest(desc, raw)
    except Auth as error:
        advice = f"docker login {reference.host} as somebody who may push to {reference.name}"
        return failed(error, advice)
    except NotFound as error:
        # To a caller NotFound means that there is no cache to read.
        advice = f"make the repository or project of {reference.name} first"
        return failed(BackendError(str(error), op="write"), advice)
    except BackendError as error:
        if isinstance(error, RegistryError) and error.status == 405:
            return failed(error, "this is a mirror or read-only: write to the registry behind it")
        return failed(error)
    missing = desk.repository(Role.WRITER).missing(descs)
    if missing:
        text = f"{len(missing)} of 2 blobs were taken, and are not there"
        return failed(BackendError(f"{desk.place}: {text}", op="write"), text=text)
    return ok("blobs are taken, and are there")


def read_back(desk: RegistryDesk) -> Finding:
    """See whether the cache that was written comes back the same, and whether in parts."""
    cache, expected = desk.facts.cache, desk.facts.tagged
    repository = desk.repository(Role.READER)
    text = "digests are equal"
    if expected is not None:
        found = repository.resolve(desk.tag)
        if found.digest != expected:
            text = _explain_other_manifest(desk)
            if not text:
                text = f"the tag names {found.digest}, written was {expected}"
                return failed(Integrity(text))
            found = repository.resolve(desk.tag)
        read_caches(repository, found)
    read_blob(repository, cache.layer_descriptor)
    start = len(cache.layer) // 2
    part = desk.ask(
        Role.READER,
        "GET",
        f"{desk.path}/blobs/{cache.layer_descriptor.digest}",
        op="read a part of a blob",
        headers={"Range": f"bytes={start}-", "Accept-Encoding": "identity"},
    )
    if part.body == cache.layer[start:]:
        return ok(f"{text}, ranges are honoured", ranges=True)
    return note(
        f"{text}, ranges are not honoured: a download that breaks off starts over", ranges=False
    )


def _explain_other_manifest(desk: RegistryDesk) -> str:
    """Say why the tag names a manifest that nobody wrote; empty if that is a mistake.

    A registry may merge a pushed cache with the one under the tag, or serve it in another form.
    Either way the record that was written last is in it.
    """
    first, last = desk.facts.cache.record, write_other(desk).record
    repository = desk.repository(Role.READER)
    try:
        found = repository.resolve(desk.tag)
        [cache] = read_caches(repository, found)
    except (ContentError, ValueError):
        return ""
    records = {record.digest for record in cache.config.records}
    if found.digest in desk.facts.manifests or last not in records:
        return ""
    desk.facts.manifests.append(found.digest)
    if first in records:
        return "what is pushed is merged with what the tag names"
    return "what is pushed is served in another form"


def chunked_upload(desk: RegistryDesk) -> Finding:
    """See whether a blob can be sent in chunks, and whether the registry knows how far it is."""
    blob = secrets.token_bytes(2 * _CHUNK)
    upload = _upload(desk, "POST", f"{desk.path}/blobs/uploads/", body=b"")
    if not upload.accepted:
        return _no_chunks(upload)
    least = upload.headers.get("OCI-Chunk-Min-Length", "")
    if least.isdigit() and int(least) > _CHUNK:
        _cancel(desk, upload)
        return ok(f"parts of a blob have {int(least):,} bytes at least", least=int(least))
    first = _send_chunk(desk, upload, blob[:_CHUNK], 0)
    if not first.accepted:
        _cancel(desk, upload)
        return _no_chunks(first)
    status = _upload(desk, "GET", desk.location(first))
    position = status.headers.get("Range", "").removeprefix("bytes=")
    known = status.accepted and position == f"0-{_CHUNK - 1}"
    # Some registries move an upload to another URL with each answer.
    latest = status if known and "Location" in status.headers else first
    done = _send_chunk(desk, latest, blob[_CHUNK:], _CHUNK)
    if done.accepted:
        digest = Digest.of(blob)
        desk.facts.blobs.append(digest)
        done = _upload(desk, "PUT", desk.location(done, digest=digest), body=b"")
    if not done.accepted:
        _cancel(desk, first)
        return _no_chunks(done)
    text = "a blob can be sent in parts"
    if not known:
        return ok(text, accepted=True, status_told=False)
    return ok(f"{text}, what has arrived is told", accepted=True, status_told=True)


def _send_chunk(desk: RegistryDesk, upload: Reply, chunk: bytes, start: int) -> Reply:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Range": f"{start}-{start + len(chunk) - 1}",
        "Content-Length": str(len(chunk)),
    }
    return _upload(desk, "PATCH", desk.location(upload), headers, chunk)


def _cancel(desk: RegistryDesk, upload: Reply) -> None:
    # A registry forgets an upload that nobody cancels, after a while.
    with suppress(CachexportError):
        _upload(desk, "DELETE", desk.location(upload))


def _upload(
    desk: RegistryDesk,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    op = f"upload to {desk.place}"
    return desk.ask(Role.WRITER, method, path, op=op, headers=headers, body=body)


def _no_chunks(reply: Reply) -> Finding:
    return note(
        f"a blob cannot be sent in parts ({reply.reason}): one that breaks off is sent again "
        "from its start",
        accepted=False,
        status=reply.status,
    )


def mount(desk: RegistryDesk) -> Finding:
    """See whether blobs are mounted from the repositories of `mount-from`, if there are any."""
    others = desk.attrs.other_repositories()
    if not others:
        # Within the only repository that is known, which shows whether it is done at all.
        desc, name = desk.facts.cache.layer_descriptor, desk.reference.repository
        if desk.repository(Role.WRITER).mounts.mount(desc, name):
            return ok("blobs are taken over, as tried within the repository", mounted=True)
        return note(
            "blobs are not taken over, as tried within the repository: mount-from would save "
            "nothing",
            mounted=False,
        )
    problems = [f"{name}: {why}" for name in others if (why := _mount_problem(desk, name))]
    if problems:
        return warning(f"nothing is taken over from {'; '.join(problems)}", mounted=False)
    # By now an export may count on a mounted blob: none is deleted.
    return ok(f"a blob each is taken over from {', '.join(others)}, and stays", mounted=True)


def _mount_problem(desk: RegistryDesk, name: str) -> str:
    """Say why no blob of a repository can be mounted; empty if one was."""
    try:
        desc = _any_blob(desk, name)
    except NotFound:
        return "it is not there"
    except CachexportError as error:
        return str(error)
    if desc is None:
        return "it has no tag with blobs to try it with"
    taken = desk.repository(Role.WRITER).mounts.mount(desc, name)
    return "" if taken else "the registry does not do so"


def _any_blob(desk: RegistryDesk, name: str) -> Descriptor | None:
    client, repository = desk.other_repository(name)
    op = f"list the tags of {repository.place}"
    response = client.call("GET", f"/v2/{name}/tags/list?n=1", op=op, expect=(200,))
    with network(op, client.host):
        raw = response.read()
    found = gojson.fields(gojson.loads(raw), frozenset({"tags"}), "").get("tags")
    tags = [gojson.string(tag, "tags") for tag in gojson.array(found, "tags")]  # null for none
    if not tags:
        return None
    desc = repository.resolve(tags[0])
    manifest = decode_manifest(read_blob(repository, desc, limit=METADATA_LIMIT))
    named = (manifest.config, *manifest.layers, *manifest.manifests)
    return next((item for item in named if item and item.media_type not in _MANIFESTS), None)
