"""The order in which a graph is written.

BuildKit walks it from the leaves, parents first, but goes through Go maps on its way, whose
order is left to chance. Here every such choice is made by the ancestry of a record: a digest of
everything that it depends on. So ours is a walk that BuildKit could have made, and always the
same one, in whatever order the records were added.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.model.chains.record import CacheRecord

    Link = tuple[CacheRecord, str]
    Walk = dict[CacheRecord, list[list[Link]]]

_SIZE = 16


def walk(records: Sequence[CacheRecord]) -> Walk:
    """Give every record that leads to a leaf with its inputs, in the order of the walk."""
    ancestry = _ancestry(records)

    def link_order(link: Link) -> tuple[bytes, str, int]:
        src, selector = link
        return ancestry[src], selector, src.sequence

    leaves = [(record, "") for record in records if not record.children]
    done: Walk = {}
    for leaf, _ in sorted(leaves, key=link_order):
        _walk_up(leaf, link_order, done)
    return done


def _walk_up(leaf: CacheRecord, link_order: Callable[[Link], Any], done: Walk) -> None:
    seen: set[CacheRecord] = set()

    def visit(record: CacheRecord) -> tuple[CacheRecord, list[list[Link]], Iterator[Link]]:
        seen.add(record)
        inputs = [_sorted(links, link_order) for links in record.parents]
        return record, inputs, chain.from_iterable(inputs)

    stack = [visit(leaf)]
    while stack:
        record, inputs, pending = stack[-1]
        parent = next((src for src, _ in pending if src not in done and src not in seen), None)
        if parent is not None:
            stack.append(visit(parent))
        else:
            done[record] = inputs
            stack.pop()


def _sorted(links: dict[Link, None], order: Callable[[Link], Any]) -> list[Link]:
    return sorted(links, key=order) if len(links) > 1 else list(links)


def _ancestry(records: Sequence[CacheRecord]) -> dict[CacheRecord, bytes]:
    ancestry: dict[CacheRecord, bytes] = {}
    for record in sorted(records, key=lambda record: record.level):
        hasher = blake2b(record.digest.encode(), digest_size=_SIZE)
        for links in record.parents:
            hasher.update(b"\0input")
            for key, selector in sorted((ancestry[src], selector) for src, selector in links):
                hasher.update(b"\0" + key + selector.encode())
        ancestry[record] = hasher.digest()
    return ancestry
