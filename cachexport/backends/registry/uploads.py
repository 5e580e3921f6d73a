"""Uploading blobs: each in one request, or in chunks where that does not get through."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from cachexport.backends.registry.client import pause
from cachexport.backends.registry.errors import Broken, give_up
from cachexport.backends.registry.sessions import ChunksRefused, Session
from cachexport.content.retry import Anew, persistently
from cachexport.content.verify import BLOCK
from cachexport.errors import BackendError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cachexport.backends.registry.client import Client
    from cachexport.content.protocols import Reader
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest

CHUNK = 8 << 20
"""Bytes that a chunk has, unless the registry wants more."""
_LARGEST_CHUNK = 32 << 20
_CHUNKED_AT_ONCE = 4
"""Blobs that are sent in chunks at once: each holds a chunk in memory."""
_TOO_LARGE = 413

_log = logging.getLogger(__name__)


class Uploads:
    """Writes blobs into one repository. Threads may share it.

    It remembers what did not work, so that the next try of a blob goes another way.
    """

    def __init__(
        self, client: Client, path: str, place: str, holds: Callable[[Descriptor], bool]
    ) -> None:
        self._client = client
        self._path = path
        self._place = place
        self._holds = holds
        self._few = BoundedSemaphore(_CHUNKED_AT_ONCE)
        self._takes_chunks = True
        self._chunked: set[Digest] = set()
        self._failures: dict[Digest, int] = {}
        self._retry_after: dict[Digest, str] = {}

    def put(self, desc: Descriptor, reader: Reader) -> None:
        """Store what `reader` gives. A small blob is sent until it is there, or often enough.

        Raises Anew when a larger one should be put once more, with a reader from its start; any
        other error is no temporary one: it was tried as often as the client does.
        """
        if desc.size <= BLOCK:
            self._put_small(desc, list(_blocks(reader)))
            return
        if desc.digest in self._failures and self._holds(desc):
            # It had come: what was lost is the answer.
            del self._failures[desc.digest]
            return
        try:
            self._put_large(desc, reader)
        except BackendError as error:
            if self._was_last(desc, error):
                raise
            raise Anew(str(error), op=error.op) from error
        self._failures.pop(desc.digest, None)

    def _put_small(self, desc: Descriptor, blocks: list[bytes]) -> None:
        tries = self._client.retries
        try:
            persistently(lambda: self._at_once(desc, blocks), tries)
        except BackendError as error:
            if error.temporary:
                give_up(error, tries)
            raise

    def _put_large(self, desc: Descriptor, reader: Reader) -> None:
        if desc.digest in self._chunked and self._takes_chunks:
            with self._few:
                self._in_chunks(desc, reader)
            return
        try:
            self._at_once(desc, _blocks(reader))
        except (Broken, RegistryError) as error:
            self._take_another_way(desc, error)
            raise

    def _take_another_way(self, desc: Descriptor, error: Broken | RegistryError) -> None:
        """Have the next try send chunks, if those may get through where this blob did not."""
        may_help = error.temporary if isinstance(error, Broken) else error.status == _TOO_LARGE
        if may_help and desc.size > CHUNK and self._takes_chunks:
            _log.info("%s: sending %s in chunks from now on", self._place, desc.digest)
            self._chunked.add(desc.digest)
            error.temporary = True

    def _was_last(self, desc: Descriptor, error: BackendError) -> bool:
        """Count a failed try, and say whether it has to be the last one."""
        tries = self._failures.pop(desc.digest, 0) + 1
        if not error.temporary:
            return True
        if tries >= self._client.retries:
            give_up(error, tries)
            return True
        self._failures[desc.digest] = tries
        return False

    def _at_once(self, desc: Descriptor, blocks: Iterable[bytes]) -> None:
        with self._session(desc) as session:
            session.put(desc.digest, blocks, desc.size)

    def _in_chunks(self, desc: Descriptor, reader: Reader) -> None:
        # Until a chunk is seen to get through: a registry that takes none may just hang up.
        self._chunked.discard(desc.digest)
        try:
            with self._session(desc) as session:
                buffer = bytearray(self._chunk_size(session))
                while size := _fill(buffer, reader):
                    session.append(memoryview(buffer)[:size])
                    self._chunked.add(desc.digest)
                session.finish(desc.digest)
        except ChunksRefused as error:
            _log.info("%s: sending no chunks from now on: %s", self._place, error)
            self._takes_chunks = False
            raise

    def _chunk_size(self, session: Session) -> int:
        if session.least > _LARGEST_CHUNK:
            problem = f"{self._place} wants chunks of {session.least} bytes, which is too much"
            raise ChunksRefused(problem, "write in chunks")
        return max(CHUNK, session.least)

    @contextmanager
    def _session(self, desc: Descriptor) -> Iterator[Session]:
        asked = self._retry_after.pop(desc.digest, None)
        if asked is not None:
            pause(1, asked)
        session = Session.begin(self._client, self._path, f"write {desc.digest} to {self._place}")
        try:
            yield session
        except BaseException:
            session.cancel()
            if session.retry_after is not None:
                self._retry_after[desc.digest] = session.retry_after
            raise


def _blocks(reader: Reader) -> Iterator[bytes]:
    return iter(lambda: reader.read(BLOCK), b"")


def _fill(buffer: bytearray, reader: Reader) -> int:
    """Read into a buffer until it is full or nothing is left, and give how much it was."""
    at = 0
    while at < len(buffer) and (block := reader.read(min(BLOCK, len(buffer) - at))):
        buffer[at : at + len(block)] = block
        at += len(block)
    return at
