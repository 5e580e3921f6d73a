"""The comparison that other tests rely on finds what differs."""

from dataclasses import replace

import pytest
from support import vectors

from cachexport import Timestamp
from cachexport.model import config as cacheconfig
from cachexport.testing.meaning import difference

ROWS = [row for row in vectors.rows("chains-natural") if len(row["ops"]) > 3]


def configs():
    return [cacheconfig.decode(row["configs"][0].encode()) for row in ROWS]


def changed(config, change):
    """Apply a change to each record in turn."""
    for number, record in enumerate(config.records):
        other = change(record)
        if other != record:
            records = list(config.records)
            records[number] = other
            yield replace(config, records=tuple(records))


CHANGES = {
    "no result": lambda r: replace(r, results=()),
    "later": lambda r: replace(
        r, results=tuple(replace(x, created_at=Timestamp(1)) for x in r.results)
    ),
    "digest": lambda r: replace(r, digest="sha256:" + "0" * 64),
    "selector": lambda r: replace(
        r, inputs=tuple(tuple(replace(x, selector="s") for x in i) for i in r.inputs)
    ),
    "fewer links": lambda r: replace(r, inputs=tuple(i[:1] for i in r.inputs)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found(name):
    found = [
        difference(config, other) is not None
        for config in configs()
        for other in changed(config, CHANGES[name])
    ]
    assert len(found) > 20
    assert all(found)
