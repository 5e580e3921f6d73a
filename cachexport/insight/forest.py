"""A graph of records as trees: each record hangs below its deepest parent."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Forest:
    """Every record below its owner: the parent furthest from the roots.

    Takes the parents of each record, without loops. Nothing here recurses, for graphs are deep.
    """

    def __init__(self, parents: Sequence[Iterable[int]]) -> None:
        self.parents = [sorted(set(numbers)) for numbers in parents]
        self.children: defaultdict[int, list[int]] = defaultdict(list)
        """By record, all that have it among their parents."""
        for number, above in enumerate(self.parents):
            for parent in above:
                self.children[parent].append(number)
        self.levels: dict[int, int] = {}
        """By record, the steps to it from its furthest root: 0 for a root."""
        self.owners: dict[int, int] = {}
        self.below: dict[int, list[int]] = {}
        """By record, those that it owns; the heaviest comes last."""
        self.weights = [1] * len(self.parents)
        """By record, how many it owns, directly or not, itself included."""
        order = self._topological()
        self._own(order)
        self._weigh(order)

    def trees(self) -> Iterator[int]:
        """Give the roots that own something."""
        return (number for number in self._roots() if number in self.below)

    def feeders(self) -> Iterator[tuple[int, int]]:
        """Give the roots that own nothing, each with the shallowest record that it feeds."""
        for number in self._roots():
            if number not in self.below and self.children.get(number):
                yield number, min(self.children[number], key=lambda child: self.levels[child])

    def lone(self) -> Iterator[int]:
        """Give the records without parents and children."""
        return (number for number in self._roots() if not self.children.get(number))

    def lane(self, start: int) -> Iterator[int]:
        """Give a record, the heaviest that it owns, and so on."""
        while True:
            yield start
            if start not in self.below:
                return
            start = self.below[start][-1]

    def branches(self, number: int) -> Sequence[int]:
        """Give the records that one owns, except the heaviest; the heavier come last."""
        return self.below.get(number, [])[:-1]

    def _roots(self) -> Iterator[int]:
        return (number for number, above in enumerate(self.parents) if not above)

    def _topological(self) -> list[int]:
        waiting = [len(above) for above in self.parents]
        order = [number for number, some in enumerate(waiting) if not some]
        for number in order:  # grows as it is walked
            for child in self.children.get(number, ()):
                waiting[child] -= 1
                if not waiting[child]:
                    order.append(child)
        return order

    def _own(self, order: Iterable[int]) -> None:
        for number in order:
            self.levels[number] = 0
            if self.parents[number]:
                owner = max(self.parents[number], key=lambda one: (self.levels[one], -one))
                self.owners[number] = owner
                self.levels[number] = self.levels[owner] + 1

    def _weigh(self, order: Sequence[int]) -> None:
        for number in reversed(order):
            owner = self.owners.get(number)
            if owner is not None:
                self.weights[owner] += self.weights[number]
                self.below.setdefault(owner, []).append(number)
        for children in self.below.values():
            children.sort(key=lambda number: (self.weights[number], number))
