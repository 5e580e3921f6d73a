"""Answers about blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from cachexport.errors import NotFound
from cachexport.gateway.http.download import Download, wanted_part
from cachexport.gateway.http.refusal import Refusal, blob_unknown

if TYPE_CHECKING:
    from cachexport.gateway.http.call import Call


async def get(call: Call) -> Download:
    """Give a blob, or tell of it."""
    digest = call.digest(call.target.item)
    call.record.digest = digest
    try:
        shelf, info = await call.look(lambda shelf: (shelf, shelf.content.info(digest)))
    except NotFound as error:
        raise blob_unknown(digest) from error
    call.record.size = info.size
    wanted = call.request.headers.get("range") if call.request.method == "GET" else None
    part = wanted_part(wanted, info.size)
    return Download(
        content=shelf.content,
        digest=digest,
        part=part,
        executor=call.executor(shelf),
        pace=call.pace,
        verify=call.verify,
    )


async def delete(call: Call) -> NoReturn:
    """Refuse: other names may need the blob, of which `prune` knows."""
    call.visitor.check_delete(call.target.repository)
    message = "blobs are deleted by `cachexport prune`, when no name needs them"
    raise Refusal(405, "UNSUPPORTED", message)
