"""An ObjectClient over files: what is written has a path of its own until it is whole."""

from __future__ import annotations

import hashlib
import logging
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from cachexport.errors import CachexportError, Integrity, InvalidDigest, NotFound, Outdated
from cachexport.plugin import (
    ABSENT,
    BLOCK,
    METADATA_LIMIT,
    Digest,
    Page,
    ResumingReader,
    Retry,
    Stored,
    map_parallel,
)
from cachexport_fsspec.beside import decoded, encoded
from cachexport_fsspec.body import Body
from cachexport_fsspec.errors import translated
from cachexport_fsspec.held import Held
from cachexport_fsspec.paths import beside, folder_of, key_of, path_of, unfinished
from cachexport_fsspec.url import opened, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cachexport.plugin import Reader
    from cachexport_fsspec.attrs import Connection
    from cachexport_fsspec.files import Files

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class FilesClient:
    """See ObjectClient. The version of what is no blob is its digest: times are too coarse."""

    def __init__(self, attrs: Connection, kind: type[Files]) -> None:
        self._retry = Retry(attempts=attrs.retries)
        self._kind = kind
        self._warned = kind.swaps
        self._held = Held(lambda: kind(*opened(attrs.url, attrs.options)))
        self.place = shown(attrs.url)
        self.parallelism = attrs.parallelism

    def head(self, key: str, /) -> Stored:
        """See ObjectClient."""
        return self._tried("look at", key, lambda: self._described(key, self._info(key)))

    def list_page(self, prefix: str, /, *, after: str = "", following: str = "") -> Page:
        """See ObjectClient. A folder is listed as a whole."""
        found = self._tried("list", prefix, lambda: self._walked(prefix, after))
        described = map_parallel(self._listed, sorted(found.items()), self.parallelism)
        return Page(tuple(stored for stored in described if stored is not None))

    def read(self, key: str, /, *, start: int = 0) -> Reader:
        """See ObjectClient. What breaks off is opened again where it broke."""
        return ResumingReader(lambda at: self._body(key, start + at), retry=self._retry)

    def load(self, key: str, /) -> tuple[bytes, Stored]:
        """See ObjectClient. Raises Integrity for a file of more than METADATA_LIMIT bytes."""
        return self._tried("read", key, lambda: self._load(key))

    def write(self, key: str, reader: Reader, size: int, /) -> None:
        """See ObjectClient."""
        path = self._path(key)
        self._renamed(key, path, lambda file: self._copy(key, reader, file))

    def replace(
        self, key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        """See ObjectClient. The condition is looked at right before, and holds where it can."""
        self._warn(version)
        path, made = self._path(key), _digest(raw)
        with self._alone(key):
            self._expect(key, version)
            if metadata:
                self._put(key, beside(path), encoded(made, metadata))
            else:
                self._remove(key, beside(path))
            self._put(key, path, raw)
        return made

    def touch(self, stored: Stored, /) -> str:
        """See ObjectClient."""
        path = self._path(stored.key)
        self._tried("touch", stored.key, lambda: self._files.touch(path))
        return self.head(stored.key).version

    def delete(self, key: str, /, *, version: str | None = None) -> None:
        """See ObjectClient."""
        path = self._path(key)
        if version is None and _is_blob(key):
            self._remove(key, path)
            return
        with self._alone(key):
            if version is not None and self._has(key):
                self._expect(key, version)
            self._remove(key, path)
            self._remove(key, beside(path))

    def delete_all(self, keys: Sequence[str], /) -> None:
        """See ObjectClient."""
        map_parallel(self.delete, keys, self.parallelism)

    def now(self) -> float:
        """See ObjectClient."""
        return self._tried("write", "", lambda: self._files.now())

    def close(self) -> None:
        """See ObjectClient."""
        files = self._held.drop()
        if files is not None:
            with self._translated("close", ""):
                files.close()

    @property
    def _files(self) -> Files:
        return self._held.get()

    def _path(self, key: str) -> str:
        return self._at(path_of(key), key)

    def _at(self, path: str, key: str) -> str:
        with self._translated("reach", key):
            return f"{self._files.root.rstrip('/')}/{path}"

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        folder = self._path(key).rpartition("/")[0]
        with ExitStack() as stack:
            with self._translated("lock", key):
                stack.enter_context(self._files.alone(folder))
            yield

    def _info(self, key: str) -> dict[str, Any]:
        return self._files.info(self._path(key))

    def _has(self, key: str) -> bool:
        try:
            self.head(key)
        except NotFound:
            return False
        return True

    def _expect(self, key: str, version: str | None) -> None:
        """Raise Outdated unless a key has this version, if one is given."""
        if version is None:
            return
        try:
            found = self.head(key).version
        except NotFound:
            found = ABSENT
        if found != version:
            raise Outdated(f"{self.place}/{key}: somebody else wrote it meanwhile")

    def _warn(self, version: str | None) -> None:
        if version is not None and not self._warned:
            self._warned = True
            _log.warning("%s has no conditional writes: who writes last wins", self.place)

    def _walked(self, prefix: str, after: str) -> dict[str, dict[str, Any]]:
        files = self._files
        root = self._at("", prefix)
        found = {
            key: info
            for info in files.walk(self._at(folder_of(prefix), prefix).rstrip("/") or "/")
            if (key := key_of(info["name"].removeprefix(root))) is not None
        }
        return {key: info for key, info in found.items() if key.startswith(prefix) and key > after}

    def _listed(self, found: tuple[str, dict[str, Any]]) -> Stored | None:
        """Describe what a listing has; None if it is gone by now."""
        key, info = found
        try:
            return self._tried("list", key, lambda: self._described(key, info, with_beside=False))
        except NotFound:
            return None

    def _described(self, key: str, info: dict[str, Any], *, with_beside: bool = True) -> Stored:
        size, modified = int(info["size"]), self._files.modified(info)
        if _is_blob(key) or size > METADATA_LIMIT:
            return Stored(key=key, size=size, version=f"{size}-{modified}", modified=modified)
        return self._of_raw(key, self._files.load(self._path(key)), modified, with_beside)

    def _of_raw(
        self, key: str, raw: bytes, modified: float | None, with_beside: bool = True
    ) -> Stored:
        version = _digest(raw)
        metadata = self._beside(key, version) if with_beside else {}
        return Stored(key=key, size=len(raw), version=version, modified=modified, metadata=metadata)

    def _beside(self, key: str, version: str) -> dict[str, str]:
        try:
            return decoded(self._files.load(beside(self._path(key))), version)
        except FileNotFoundError:
            return {}

    def _load(self, key: str) -> tuple[bytes, Stored]:
        info = self._info(key)
        if info["size"] > METADATA_LIMIT:
            message = f"{self.place}/{key} is too large ({info['size']} > {METADATA_LIMIT})"
            raise Integrity(message)
        raw = self._files.load(self._path(key))
        stored = self._of_raw(key, raw, self._files.modified(info), not _is_blob(key))
        return raw, stored

    def _body(self, key: str, start: int) -> Reader:
        path = self._path(key)
        with self._translated("read", key):
            file = self._files.open(path, start)
        return Body(file, lambda: self._translated("read", key))

    def _copy(self, key: str, reader: Reader, file: Any) -> None:
        while block := reader.read(BLOCK):
            with self._translated("write", key):
                file.write(block)

    def _put(self, key: str, path: str, raw: bytes) -> None:
        def fill(file: Any) -> None:
            with self._translated("write", key):
                file.write(raw)

        self._retry.call(lambda: self._renamed(key, path, fill))

    def _renamed(self, key: str, path: str, fill: Callable[[Any], None]) -> None:
        """Fill a file that nobody sees, and give it its path when it is whole."""
        new, files = unfinished(path), self._files
        try:
            with self._translated("write", key):
                file = files.create(new)
            try:
                fill(file)
            except BaseException:
                with suppress(Exception):
                    file.close()
                raise
            with self._translated("write", key):
                files.finish(file)
                files.rename(new, path)
        except BaseException:
            with suppress(CachexportError):
                self._remove(key, new)
            raise

    def _remove(self, key: str, path: str) -> None:
        with suppress(NotFound):
            self._tried("delete", key, lambda: self._files.remove(path))

    def _tried(self, op: str, key: str, work: Callable[[], _T]) -> _T:
        def tried() -> _T:
            with self._translated(op, key):
                return work()

        return self._retry.call(tried)

    def _translated(self, op: str, key: str) -> Any:
        return translated(op, f"{self.place}/{key}")


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _is_blob(key: str) -> bool:
    """Tell whether a key ends in a digest: then nothing is beside it, and its bytes are known."""
    try:
        Digest.parse(key.rpartition("/")[2])
    except InvalidDigest:
        return False
    return True
