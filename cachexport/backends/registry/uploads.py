"""Uploading blobs: each in one request, or in chunks where that does not get through."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from cachexport.backends.registry.errors import Broken
from cachexport.backends.registry.sessions import ChunksRefused, Session
from cachexport.content.verify import BLOCK
from cachexport.errors import RegistryError

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
        self._broken_off: set[Digest] = set()

    def put(self, desc: Descriptor, reader: Reader) -> None:
        """Store what `reader` gives, sent once.

        Raises BackendError, a temporary one where another try may get through, with a reader from
        its start; that may go another way.
        """
        if desc.size <= BLOCK:
            # A list can be sent twice, when a login is asked for.
            self._at_once(desc, list(_blocks(reader)))
            return
        if desc.digest in self._broken_off and self._holds(desc):
            # It had come: what was lost is the answer.
            self._broken_off.discard(desc.digest)
            return
        self._broken_off.add(desc.digest)
        self._put_large(desc, reader)
        self._broken_off.discard(desc.digest)

    def _put_large(self, desc: Descriptor, reader: Reader) -> None:
        if desc.digest in self._chunked and self._takes_chunks:
            with self._few:
                self._in_chunks(desc, reader)
            return
        try:
            self._at_once(desc, _blocks(reader))
        except (Broken, RegistryError) as error:
            if not self._may_go_in_chunks(desc, error):
                raise
            _log.info("%s: sending %s in chunks from now on", self._place, desc.digest)
            self._chunked.add(desc.digest)
            raise Broken(str(error), op=error.op, temporary=True) from error

    def _may_go_in_chunks(self, desc: Descriptor, error: Broken | RegistryError) -> bool:
        """Say whether chunks may get through where this blob did not as a whole."""
        may_help = error.temporary if isinstance(error, Broken) else error.status == _TOO_LARGE
        return may_help and desc.size > CHUNK and self._takes_chunks

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
        session = Session.begin(self._client, self._path, f"write {desc.digest} to {self._place}")
        try:
            yield session
        except BaseException:
            session.cancel()
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
