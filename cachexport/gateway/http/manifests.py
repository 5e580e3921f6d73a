"""Answers about manifests and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from cachexport.errors import NotFound
from cachexport.gateway.http.refusal import Refusal, manifest_unknown
from cachexport.gateway.http.request import number
from cachexport.gateway.shelf.shelf import MANIFEST_LIMIT
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.gateway.http.request import Call


async def get(call: Call) -> Response:
    """Give a manifest."""
    repository, item = call.route.repository, call.route.item
    try:
        if ":" in item:
            wanted = call.digest(item)
            found = await call.look(lambda shelf: shelf.manifest(wanted))
        else:
            found = await call.look(lambda shelf: shelf.find(repository, item))
    except NotFound as error:
        raise manifest_unknown(str(error)) from error
    digest = found.descriptor.digest
    call.exchange.digest, call.exchange.origin = digest, found.origin
    headers = {"Docker-Content-Digest": str(digest), "ETag": f'"{digest}"'}
    return Response(found.raw, headers=headers, media_type=found.descriptor.media_type)


async def put(call: Call) -> Response:
    """Store a manifest, and give it its name."""
    repository, item = call.route.repository, call.route.item
    is_digest = ":" in item
    call.visitor.check_push(repository, None if is_digest else item)
    raw = await _received(call)
    stated = call.request.headers.get("content-type", "").partition(";")[0].strip()
    pushed = Digest.of(raw)
    if is_digest:
        if pushed != call.digest(item):
            raise Refusal(400, "DIGEST_INVALID", f"what came has the digest {pushed}")
        desc = await call.long(call.publishing.store, raw, stated)
    else:
        desc = await call.long(call.publishing.publish, repository, item, raw, stated)
    call.exchange.digest = desc.digest
    location = f"/v2/{repository}/manifests/{pushed}"
    headers = {"Location": location, "Docker-Content-Digest": str(pushed)}
    return Response(status_code=201, headers=headers)


async def delete(call: Call) -> Response:
    """Remove a tag, or all tags of a manifest. `prune` deletes the blobs later."""
    repository, item = call.route.repository, call.route.item
    is_digest = ":" in item
    call.visitor.check_delete(repository, None if is_digest else item)
    try:
        tags = [item]
        if is_digest:
            tags = await call.listed(call.shelf.alone.tagged, repository, call.digest(item))
        if not tags:
            raise manifest_unknown(f"no tag of {repository} stands for {item}")
        for tag in tags:
            call.visitor.check_delete(repository, tag)
        for tag in tags:
            await call.listed(call.shelf.withdraw, repository, tag)
    except NotFound as error:
        raise manifest_unknown(str(error)) from error
    return Response(status_code=202)


async def tags(call: Call) -> Response:
    """List the tags of a repository: `n` a page, those after `last`."""
    repository = call.route.repository
    query = call.request.query_params
    most = query.get("n", "")
    if most and not (most.isascii() and most.isdecimal()):
        raise Refusal(400, "UNSUPPORTED", f"n={most} is no number")
    found = await call.listed(call.shelf.tags, repository)
    found = [tag for tag in found if tag > query.get("last", "")]
    page = found[: number(most)] if most else found
    headers = {}
    if page and len(page) < len(found):
        following = urlencode({"n": most, "last": page[-1]})
        headers["Link"] = f'</v2/{repository}/tags/list?{following}>; rel="next"'
    return JSONResponse({"name": repository, "tags": page}, headers=headers)


async def _received(call: Call) -> bytes:
    body = call.body()
    try:
        return await body.read_all(MANIFEST_LIMIT)
    finally:
        call.exchange.received = body.size
