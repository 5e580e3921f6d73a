"""A file that is read block by block, whose errors are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Body:
    """See Reader. `translated` gives the block that the file's own calls stand in."""

    def __init__(self, file: Any, translated: Callable[[], Any]) -> None:
        self._file = file
        self._translated = translated

    def read(self, size: int, /) -> bytes:
        """See Reader."""
        with self._translated():
            return bytes(self._file.read(size))

    def close(self) -> None:
        """See Reader."""
        file, self._file = self._file, None
        if file is not None:
            with self._translated():
                file.close()
