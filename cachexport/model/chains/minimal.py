"""What `mode=min` keeps."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cachexport.model.chains.record import CacheRecord, CacheResult
    from cachexport.model.chains.remote import Remote

_SIZE = 16


def leading_to_leaves(
    results: Mapping[CacheRecord, CacheResult | None],
) -> Callable[[Remote], bool]:
    """Give a test for the stacks of layers that a leaf's result has, or begins with.

    Layers are compared by diff ID: a leaf's stack can hold another compression of a layer.
    """
    stacks = _Stacks()
    wanted: set[bytes] = set()
    for record, result in results.items():
        if result is not None and not record.children:
            _add_all(result.remote, stacks, wanted)
    return lambda remote: stacks.key(remote) in wanted


def _add_all(remote: Remote, stacks: _Stacks, wanted: set[bytes]) -> None:
    stacks.key(remote)
    for layer in remote.down():
        key = stacks.key(layer)
        if key in wanted:
            break  # and so is all below it
        wanted.add(key)


class _Stacks:
    """Keys of stacks of diff IDs, each worked out once."""

    def __init__(self) -> None:
        self._keys: dict[Remote, bytes] = {}

    def key(self, remote: Remote) -> bytes:
        """Give a key that stacks with equal diff IDs share."""
        unknown = []
        below = b""
        for layer in remote.down():
            if layer in self._keys:
                below = self._keys[layer]
                break
            unknown.append(layer)
        for layer in reversed(unknown):
            content = layer.descriptor.diff_id or layer.descriptor.digest
            below = blake2b(below + content.encode(), digest_size=_SIZE).digest()
            self._keys[layer] = below
        return below
