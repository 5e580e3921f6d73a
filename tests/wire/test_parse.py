"""Reading configs: BuildKit's verdict on each, and what it makes of it."""

import pytest
from support import vectors

from cachexport import CacheChains
from cachexport.errors import CachexportError, Loop, WireFormat
from cachexport.model import config as cacheconfig
from cachexport.testing.meaning import difference

ROWS = vectors.rows("parse")


def ids(rows):
    return [row["name"] for row in rows]


def parse(row):
    config = cacheconfig.decode(row["config"].encode())
    return CacheChains.parse(config, vectors.any_sources(config, row["missing"]))


GOOD = [row for row in ROWS if row["verdict"] == "ok"]
BAD = [row for row in ROWS if row["verdict"] == "error"]


def test_the_vectors_are_all_there():
    assert (len(GOOD), len(BAD)) == (92, 17)


@pytest.mark.parametrize("row", GOOD, ids=ids(GOOD))
def test_what_buildkit_reads(row):
    config, _ = parse(row).marshal()
    if row["stable"]:
        assert config.encode().decode() == row["configs"][0]
    for text in row["configs"]:
        assert difference(config, cacheconfig.decode(text.encode())) is None


@pytest.mark.parametrize("row", BAD, ids=ids(BAD))
def test_what_buildkit_refuses(row):
    with pytest.raises((WireFormat, Loop)) as raised:
        parse(row)
    assert isinstance(raised.value, CachexportError)
    assert raised.value.exit_code == 65
