"""Whether two cache configs answer every question of a build alike.

A build looks a record up by its digest and, for each input, by the records that it found there. It
finds a set of records, since one digest may occur with several inputs. So both configs are asked
every possible question side by side. The pairs of sets that they answer are explored like the
pairs of states when two automata are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cachexport.model.config import CacheConfig
    from cachexport.oci.timestamp import Timestamp

Found = frozenset[int]
Pair = tuple[Found, Found]


@dataclass(frozen=True)
class Index:
    """A config, as a build asks it."""

    config: CacheConfig
    shapes: frozenset[tuple[str, int]]

    @classmethod
    def of(cls, config: CacheConfig) -> Index:
        """Give the index of a config."""
        return cls(config, frozenset((r.digest, len(r.inputs)) for r in config.records))

    def roots(self, digest: str) -> Found:
        """Find the records of a digest that have no inputs."""
        records = enumerate(self.config.records)
        return frozenset(i for i, r in records if r.digest == digest and not r.inputs)

    def find(self, digest: str, question: tuple[tuple[Found, str], ...]) -> Found:
        """Find the records of a digest that have these inputs."""
        return frozenset(
            number
            for number, record in enumerate(self.config.records)
            if record.digest == digest
            and len(record.inputs) == len(question)
            and all(
                any(link.link in found and link.selector == selector for link in links)
                for links, (found, selector) in zip(record.inputs, question, strict=True)
            )
        )

    def selectors(self, digest: str, index: int, found: Found) -> set[str]:
        """Give the selectors of an input that link to these records."""
        return {
            link.selector
            for record in self.config.records
            if record.digest == digest and index < len(record.inputs)
            for link in record.inputs[index]
            if link.link in found
        }

    def newest(self, found: Found) -> tuple[Timestamp, tuple[str, ...]] | None:
        """Give the instant and the blobs of the newest result, if there is one."""
        results = [
            (result.created_at, self.stack(result.layer))
            for number in found
            for result in self.config.records[number].results
        ]
        return max(results, default=None)

    def stack(self, number: int) -> tuple[str, ...]:
        """Give the blobs of a layer and its parents, the topmost first."""
        blobs = []
        while number != -1:
            blobs.append(self.config.layers[number].blob)
            number = self.config.layers[number].parent
        return tuple(blobs)


def difference(left: CacheConfig, right: CacheConfig) -> str | None:
    """Describe a question that both answer differently; None when there is none."""
    a, b = Index.of(left), Index.of(right)
    known: dict[Pair, None] = {}
    shapes = a.shapes | b.shapes
    fresh = [(digest, (a.roots(digest), b.roots(digest))) for digest, count in shapes if not count]
    while fresh:
        for digest, pair in fresh:
            problem = _compare(a, b, digest, pair)
            if problem is not None:
                return problem
        known.update((pair, None) for _, pair in fresh)
        fresh = [
            (digest, pair)
            for digest, count in shapes
            if count
            for pair in _answers(a, b, digest, count, list(known))
            if pair not in known
        ]
    return None


def _compare(a: Index, b: Index, digest: str, pair: Pair) -> str | None:
    if bool(pair[0]) != bool(pair[1]):
        return f"{digest}: only one of both has it: {pair}"
    if a.newest(pair[0]) != b.newest(pair[1]):
        return f"{digest}: {a.newest(pair[0])} against {b.newest(pair[1])}"
    return None


def _answers(a: Index, b: Index, digest: str, count: int, known: list[Pair]) -> set[Pair]:
    choices = [
        [
            (pair, selector)
            for pair in known
            for selector in a.selectors(digest, i, pair[0]) | b.selectors(digest, i, pair[1])
        ]
        for i in range(count)
    ]
    answers = {
        (
            a.find(digest, tuple((pair[0], selector) for pair, selector in question)),
            b.find(digest, tuple((pair[1], selector) for pair, selector in question)),
        )
        for question in product(*choices)
    }
    return answers - {(frozenset(), frozenset())}
