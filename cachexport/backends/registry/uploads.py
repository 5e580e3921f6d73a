"""Uploading blobs: each in one request, or in chunks where one request does not get through."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from functools import partial
from threading import BoundedSemaphore
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from cachexport.backends.registry.errors import Broken
from cachexport.content.verify import BLOCK
from cachexport.errors import Auth, BackendError, NotFound, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from urllib3.response import BaseHTTPResponse

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
_ACCEPTED = frozenset({200, 202, 204})
"""Statuses of a chunk and of an upload's status; not every registry has the specification's."""
_RANGE = re.compile(r"(?:bytes[= ])?0-(\d+)")

_log = logging.getLogger(__name__)


class Uploader:
    """Writes blobs into one repository. Threads may share it.

    It remembers what did not work, so that the next try of a blob takes another way.
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
        """Store what `reader` gives. Nothing is sent twice: the caller retries.

        Raises BackendError, a temporary one where another `put` with a new reader may get through.
        """
        if desc.size <= BLOCK:
            # A list can be sent again when the registry asks for a login.
            self._at_once(desc, list(_blocks(reader)))
            return
        if desc.digest in self._broken_off and self._holds(desc):
            # The blob had arrived; only the answer was lost.
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
        # A registry that takes no chunks may just hang up, so only a chunk that got through counts.
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

    def _chunk_size(self, session: UploadSession) -> int:
        if session.least > _LARGEST_CHUNK:
            problem = f"{self._place} wants chunks of {session.least} bytes, which is too much"
            raise ChunksRefused(problem, "write in chunks")
        return max(CHUNK, session.least)

    @contextmanager
    def _session(self, desc: Descriptor) -> Iterator[UploadSession]:
        session = UploadSession.begin(
            self._client, self._path, f"write {desc.digest} to {self._place}"
        )
        try:
            yield session
        except BaseException:
            session.cancel()
            raise


def _blocks(reader: Reader) -> Iterator[bytes]:
    return iter(lambda: reader.read(BLOCK), b"")


def _fill(buffer: bytearray, reader: Reader) -> int:
    """Read into a buffer until it is full or nothing is left. Gives the number of bytes."""
    at = 0
    while at < len(buffer) and (block := reader.read(min(BLOCK, len(buffer) - at))):
        buffer[at : at + len(block)] = block
        at += len(block)
    return at


class SessionEnded(BackendError):
    """A session that no further request can finish. The blob may be sent in another one."""

    def __init__(self, problem: str, op: str) -> None:
        super().__init__(problem, op=op, temporary=True)


class SessionLost(SessionEnded):
    """A registry does not know how far an upload is, or too many tries brought nothing there."""

    def __init__(self, problem: object, op: str) -> None:
        super().__init__(f"{problem}; the upload is lost", op)


class ChunksRefused(SessionEnded):
    """A registry does not take chunks, or does not put them together as they were."""

    def __init__(self, problem: object, op: str) -> None:
        super().__init__(f"{problem} (in chunks)", op)


class UploadSession:
    """An upload under way: the URL where it goes on, and how many bytes have arrived there."""

    def __init__(self, client: Client, url: str, op: str, least: int) -> None:
        self.least = least
        """Bytes that a chunk has at least, all but the last."""
        self._client = client
        self._url = url
        self._op = op
        self._at = 0
        self._touched = False
        """Whether a chunk was accepted or broke off, so that the registry does take chunks."""
        self._broken: BackendError | None = None
        """Why the last chunk failed, until the registry has said how much of it arrived."""

    @classmethod
    def begin(cls, client: Client, path: str, op: str) -> UploadSession:
        """Ask a repository, whose API is at `path`, to take a blob."""
        place = f"{path}/blobs/uploads/"
        response = client.call("POST", place, op=op, body=b"", expect=(202,))
        response.drain_conn()
        location = response.headers.get("Location")
        if not location:
            message = f"{client.host}: cannot {op}: the registry named no place to upload to"
            raise BackendError(message, op=op)
        least = response.headers.get("OCI-Chunk-Min-Length", "")
        url = urljoin(urljoin(client.base, place), location)
        return cls(client, url, op, int(least) if least.isdecimal() else 0)

    def put(self, digest: Digest, blocks: Iterable[bytes], size: int) -> None:
        """Send a whole blob in one request. Any error is the end of the session."""
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        self._send("PUT", self._final_url(digest), headers, blocks, (201,))

    def append(self, chunk: memoryview) -> None:
        """Send the next chunk. If it breaks off, go on from where the registry says it is.

        Raises ChunksRefused when the registry does not take the first one, SessionLost when it
        has lost the session or when none of the tries that the client's policy allows in a row
        brings a byte there.
        """
        start, end = self._at, self._at + len(chunk)
        while self._at < end:
            advance = partial(self._advance, chunk, start)
            try:
                self._client.retry.call(advance, is_temporary=_may_go_on)
            except BackendError as error:
                if error.exhausted:
                    raise SessionLost(error, self._op) from error
                raise

    def finish(self, digest: Digest) -> None:
        """Make a blob of the chunks. Raises ChunksRefused when they are not what was sent."""
        url = self._final_url(digest)
        try:
            self._client.call("PUT", url, op=self._op, body=b"", expect=(201,)).drain_conn()
        except NotFound as error:
            raise SessionLost(error, self._op) from error
        except RegistryError as error:
            raise ChunksRefused(error, self._op) from error

    def cancel(self) -> None:
        """Tell the registry, once, that nothing more will come. Raises nothing."""
        self._client.discard(self._url)

    def _advance(self, chunk: memoryview, start: int) -> None:
        """Send the rest of a chunk, unless some of it turns out to have arrived already.

        In that case return: the tries are then counted from one again.
        """
        if self._broken is not None:
            before = self._at
            self._at = self._ask(start, start + len(chunk), self._broken)
            self._broken = None
            if self._at > before:
                return
        try:
            self._patch(chunk, start)
        except ChunksRefused:
            raise
        except BackendError as error:
            self._touched = True
            self._broken = error
            raise

    def _patch(self, chunk: memoryview, start: int) -> None:
        end = start + len(chunk)
        headers = {
            "Content-Length": str(end - self._at),
            "Content-Range": f"{self._at}-{end - 1}",
            "Content-Type": "application/octet-stream",
        }
        try:
            blocks = _parts(chunk[self._at - start :])
            response = self._send("PATCH", self._url, headers, blocks, _ACCEPTED)
        except (NotFound, RegistryError) as error:
            raise self._meaning(error) from error
        self._go_to(response)
        self._touched = True
        at = _position(response)
        self._at = at if at and self._at < at < end else end

    def _meaning(self, error: NotFound | RegistryError) -> BackendError:
        """Tell a registry that takes no chunks from one that is at another position."""
        if isinstance(error, RegistryError) and error.temporary:
            return error
        if not self._touched:
            return ChunksRefused(error, self._op)
        # Not SessionLost: the next try asks for the position first.
        return BackendError(f"{error}; the upload is lost", op=self._op, temporary=True)

    def _ask(self, start: int, end: int, broken: BackendError) -> int:
        """Ask how many bytes have arrived. Raises SessionLost unless that is in the chunk."""
        op = "ask how far it came"
        try:
            response = self._client.call("GET", self._url, op=op, expect=_ACCEPTED)
        except Auth:
            raise
        except (NotFound, BackendError) as error:
            raise SessionLost(f"{broken}; {error}", self._op) from error
        self._go_to(response)
        at = _position(response)
        if at is None or not start <= at <= end:
            answer = response.headers.get("Range")
            problem = f"asked how far it came, beyond {start} bytes, the registry says {answer!r}"
            raise SessionLost(f"{broken}; {problem}", self._op) from broken
        return at

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        blocks: Iterable[bytes | memoryview],
        expect: Collection[int],
    ) -> BaseHTTPResponse:
        response = self._client.send(method, url, op=self._op, headers=headers, body=blocks)
        self._client.check(self._op, response, expect)
        response.drain_conn()
        return response

    def _go_to(self, response: BaseHTTPResponse) -> None:
        response.drain_conn()
        self._url = urljoin(self._url, response.headers.get("Location", ""))

    def _final_url(self, digest: Digest) -> str:
        joint = "&" if urlsplit(self._url).query else "?"
        return self._url + joint + urlencode({"digest": str(digest)})


def _may_go_on(error: Exception) -> bool:
    """Say whether the same session may take the rest of a chunk."""
    return (
        isinstance(error, BackendError) and error.temporary and not isinstance(error, SessionEnded)
    )


def _position(response: BaseHTTPResponse) -> int | None:
    """Give how many bytes an upload has; None when the answer makes no sense."""
    found = _RANGE.fullmatch(response.headers.get("Range", "0-0"))
    last = int(found[1]) if found else -1
    # An empty upload has no last byte; registries say `0-0` then.
    return last + 1 if last > 0 else 0 if last == 0 else None


def _parts(chunk: memoryview) -> list[memoryview]:
    """Cut a chunk into parts: the timeout is for each of them."""
    return [chunk[at : at + BLOCK] for at in range(0, len(chunk), BLOCK)]
