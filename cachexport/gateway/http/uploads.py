"""Answers to requests that upload blobs."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from starlette.responses import Response

from cachexport.errors import NotFound
from cachexport.gateway.http.refusal import Refusal
from cachexport.gateway.http.request import BodyReader, number

if TYPE_CHECKING:
    from cachexport.gateway.http.request import Body, Call
    from cachexport.gateway.uploads import Direct, Upload
    from cachexport.oci.digest import Digest


_GOING_ON = "GET, PATCH, PUT, DELETE"
_CONTENT_RANGE = re.compile(r"(?:bytes )?([0-9]+)-([0-9]+)(?:/.*)?")


async def begin(call: Call) -> Response:
    """Begin an upload, take a whole blob in one request, or mount one that is there already."""
    repository = call.route.repository
    call.visitor.check_push(repository)
    if call.route.item:
        raise Refusal(405, "UNSUPPORTED", "an upload begins without a name", {"Allow": _GOING_ON})
    query = call.request.query_params
    if "mount" in query:
        # A blob that cannot be mounted, for whatever reason, is to be uploaded.
        with suppress(NotFound, Refusal):
            digest = call.digest(query["mount"])
            info = await call.look(lambda shelf: shelf.content.info(digest))
            call.exchange.size = info.size
            return _created(call, digest)
    # Checked first: a request that is refused must not count as an upload.
    whole = call.digest(query["digest"]) if "digest" in query else None
    upload = await call.soon(call.uploads.begin, repository, call.shelf.place)
    if whole is not None:
        return await _finish(call, upload, whole)
    call.uploads.release(upload)
    return _accepted(upload, 202)


async def append(call: Call) -> Response:
    """Append a part."""
    call.visitor.check_push(call.route.repository)
    with call.uploads.using(call.route.item, call.route.repository) as upload:
        _check_range(call, upload)
        await _take(call, upload, call.body())
        return _accepted(upload, 202)


async def finish(call: Call) -> Response:
    """Append the last part, if any, and store the blob."""
    call.visitor.check_push(call.route.repository)
    with call.uploads.using(call.route.item, call.route.repository) as upload:
        if call.size:
            _check_range(call, upload)
        digest = call.digest(call.request.query_params.get("digest", ""))
        return await _finish(call, upload, digest)


async def status(call: Call) -> Response:
    """Give how many bytes were received."""
    call.visitor.check_push(call.route.repository)
    with call.uploads.using(call.route.item, call.route.repository) as upload:
        return _accepted(upload, 204)


async def cancel(call: Call) -> Response:
    """Drop the upload."""
    call.visitor.check_push(call.route.repository)
    with call.uploads.using(call.route.item, call.route.repository) as upload:
        await call.soon(call.uploads.end, upload)
    return Response(status_code=204)


async def _finish(call: Call, upload: Upload, digest: Digest) -> Response:
    """Receive the rest and store the blob, if possible without the spool."""
    body = call.body()
    before = upload.offset
    try:
        with upload.direct(digest, call.size) as direct:
            if direct is not None:
                await _ingest(call, direct, body)
            else:
                await _take(call, upload, body)
                await call.long(upload.commit, digest)
    finally:
        # Also after an error, a wrong digest or a place that is away: the client starts over.
        await call.soon(call.uploads.end, upload)
    call.exchange.size = before + body.size
    return _created(call, digest)


async def _take(call: Call, upload: Upload, body: Body) -> None:
    """Append the body. Blocks that were received before an error are kept."""
    try:
        async with aclosing(body.blocks()) as blocks:
            async for block in blocks:
                await call.long(upload.write, block)
    finally:
        call.exchange.received = body.size


async def _ingest(call: Call, direct: Direct, body: Body) -> None:
    reader = BodyReader(body, asyncio.get_running_loop())
    try:
        await call.long(direct.ingest, reader)
    finally:
        call.exchange.received = body.size
        await call.soon(reader.close)


def _created(call: Call, digest: Digest) -> Response:
    call.exchange.digest = digest
    location = f"/v2/{call.route.repository}/blobs/{digest}"
    headers = {"Location": location, "Docker-Content-Digest": str(digest)}
    return Response(status_code=201, headers=headers)


def _accepted(upload: Upload, status_code: int) -> Response:
    return Response(status_code=status_code, headers=_state(upload))


def _state(upload: Upload) -> dict[str, str]:
    return {
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.id}",
        "Range": f"0-{max(upload.offset - 1, 0)}",
        "Docker-Upload-UUID": upload.id,
    }


def _check_range(call: Call, upload: Upload) -> None:
    """Raise Refusal for a part with a gap before it, or with another length than it states."""
    text = call.request.headers.get("content-range")
    if text is None:
        return
    found = _CONTENT_RANGE.fullmatch(text.strip())
    start, end = (number(found[1]), number(found[2])) if found else (-1, -1)
    is_right = start == upload.offset and call.size in (None, end - start + 1)
    if not is_right:
        message = f"{upload.offset} bytes came so far; {text!r} does not follow"
        raise Refusal(416, "BLOB_UPLOAD_INVALID", message, _state(upload))
