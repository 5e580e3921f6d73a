"""A download, chunk by chunk, whose errors are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachexport.errors import BackendError, Outdated

if TYPE_CHECKING:
    from collections.abc import Callable


class Body:
    """See Reader. `download` is the SDK's; `translated` gives the block that its calls stand in."""

    def __init__(self, download: Any, translated: Callable[[], Any]) -> None:
        self._download = download
        self._translated = translated

    def read(self, size: int, /) -> bytes:
        """See Reader.

        The SDK asks for each chunk on condition that nobody wrote the blob since the first. To
        touch it is to write it, so that is no failure but a reason to ask again.
        """
        try:
            with self._translated():
                block: bytes = self._download.read(size)
                return block
        except Outdated as error:
            raise BackendError(str(error), op="read", temporary=True) from error

    def close(self) -> None:
        """See Reader."""
        self._download = None
