"""Saving what is sound in a config that BuildKit cannot parse."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.model.config.model import NO_PARENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.model.config.model import CacheConfig, CacheInput, CacheLayer, CacheRecord


def salvage(config: CacheConfig) -> CacheConfig:
    """Give the config with only what leads somewhere; a sound one stays as it is.

    A result goes when its layers end nowhere or in a circle. A link goes when it leads nowhere or
    back to its own record; a record without a link for one of its inputs goes, and so do the
    links to it. What is kept is kept whole. Layers keep their numbers.
    """
    sound = _sound_layers(config.layers)
    order = _ordered(config.records, _founded(config.records))
    numbers = {old: new for new, old in enumerate(sorted(order))}
    records = tuple(_saved(config, old, order, numbers, sound) for old in numbers)
    saved = replace(config, records=records)
    return config if saved == config else saved


def _sound_layers(layers: Sequence[CacheLayer]) -> set[int]:
    """Give the numbers of the layers whose chain of parents ends."""
    above: dict[int, list[int]] = defaultdict(list)
    for number, layer in enumerate(layers):
        above[layer.parent].append(number)
    sound: set[int] = set()
    pending = list(above[NO_PARENT])
    while pending:
        number = pending.pop()
        sound.add(number)
        pending += above[number]
    return sound


def _founded(records: Sequence[CacheRecord]) -> dict[int, int]:
    """Give the records that can be built from what has no inputs, and their turn in that."""
    waiting = [set(range(len(record.inputs))) for record in records]
    users: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, record in enumerate(records):
        for index, links in enumerate(record.inputs):
            for link in links:
                users[link.link].append((number, index))
    turns: dict[int, int] = {}
    ready = deque(number for number, inputs in enumerate(waiting) if not inputs)
    while ready:
        current = ready.popleft()
        turns[current] = len(turns)
        for number, index in users[current]:
            if index in waiting[number]:
                waiting[number].remove(index)
                if not waiting[number]:
                    ready.append(number)
    return turns


def _ordered(records: Sequence[CacheRecord], turns: dict[int, int]) -> dict[int, int]:
    """Give those records in an order in which as many links as can be lead back.

    Where links go round in a circle it is opened before the record that had its turn first.
    """
    waiting = {
        number: sum(link.link in turns for links in records[number].inputs for link in links)
        for number in turns
    }
    users: dict[int, list[int]] = defaultdict(list)
    for number in turns:
        for links in records[number].inputs:
            for link in links:
                users[link.link].append(number)
    places: dict[int, int] = {}
    for first in turns:
        ready = deque([first] if first not in places else [])
        while ready:
            current = ready.popleft()
            places[current] = len(places)
            for number in users[current]:
                waiting[number] -= 1
                if not waiting[number] and number not in places:
                    ready.append(number)
    return places


def _saved(
    config: CacheConfig, old: int, turns: dict[int, int], numbers: dict[int, int], sound: set[int]
) -> CacheRecord:
    record, layers = config.records[old], len(config.layers)

    def is_sound(link: CacheInput) -> bool:
        return link.link in turns and turns[link.link] < turns[old]

    def is_layer(number: int) -> bool:
        return 0 <= number < layers

    return replace(
        record,
        results=tuple(result for result in record.results if result.layer in sound),
        chained_results=tuple(
            chain for chain in record.chained_results if all(map(is_layer, chain.layers))
        ),
        inputs=tuple(
            tuple(replace(link, link=numbers[link.link]) for link in links if is_sound(link))
            for links in record.inputs
        ),
    )
