"""What `inspect` computes and draws, on caches that no build would make."""

from __future__ import annotations

import json

import pytest

from cachexport.cli.views.caches import CachesDocument, table_lines
from cachexport.cli.views.document import json_lines
from cachexport.cli.views.graphs import dot_lines, tree_lines
from cachexport.content.memory import MemoryContent
from cachexport.errors import Loop, WireFormat
from cachexport.insight.inspect import Inspection, inspect_cache
from cachexport.model.config import (
    CacheConfig,
    CacheInput,
    CacheLayer,
    CacheRecord,
    CacheResult,
    ChainedResult,
)
from cachexport.model.envelope.cache import Cache, Wrapped, WrappedCache
from cachexport.model.envelope.manifest import (
    IMPORT_LIMIT,
    NEARLY_FULL,
    Form,
)
from cachexport.oci.descriptor import DESCRIPTION, Descriptor
from cachexport.oci.digest import Digest
from cachexport.oci.mediatype import OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from cachexport.oci.timestamp import Timestamp

DEPTH = 50_000


def _desc(
    name: str, media_type: str = OCI_LAYER_GZIP, size: int = 10, note: str = ""
) -> Descriptor:
    annotations = {DESCRIPTION: note} if note else {}
    digest = Digest.of(name.encode())
    return Descriptor(media_type=media_type, digest=digest, size=size, annotations=annotations)


def _inspect(config: CacheConfig, *descs: Descriptor) -> Inspection:
    return inspect_cache(Cache(config=config, layers=descs, provider=MemoryContent([])))


def _record(
    name: str, *inputs: tuple[int, ...], results: tuple[CacheResult, ...] = ()
) -> CacheRecord:
    links = tuple(tuple(CacheInput(link=number) for number in one) for one in inputs)
    return CacheRecord(digest=Digest.of(name.encode()), inputs=links, results=results)


def _at(second: int, layer: int) -> CacheResult:
    return CacheResult(layer=layer, created_at=Timestamp(second))


@pytest.mark.parametrize(
    ("size", "part"),
    [
        (NEARLY_FULL - 1, None),
        (NEARLY_FULL, "the config has 75% of the 1,048,576 bytes"),
        (IMPORT_LIMIT, "the config has 100% of the 1,048,576 bytes"),
        (IMPORT_LIMIT + 1, "the config has 1,048,577 bytes: BuildKit refuses to import"),
    ],
)
def test_a_config_near_and_over_the_limit(size: int, part: str | None) -> None:
    config = CacheConfig(records=(_record("a"),))
    wrapped = Wrapped(form=Form.IMAGE_MANIFEST, config=b" " * size, manifest=b"{}")
    cache = WrappedCache(config=config, layers=(), provider=MemoryContent([]), wrapped=wrapped)
    inspection = inspect_cache(cache)
    assert inspection.config is not None
    assert inspection.config.size == size
    if part is None:
        assert inspection.notes == ()
        return
    (note,) = inspection.notes
    assert note.startswith(part)
    assert note in "".join(table_lines([inspection], 20, 80))
    assert json.loads("".join(json_lines(CachesDocument.of([inspection]))))["caches"][0][
        "notes"
    ] == [note]


def test_blobs_are_counted_once_and_by_media_type() -> None:
    a, b = _desc("a", size=3), _desc("b", OCI_LAYER_ZSTD, size=5)
    layers = [(a, -1), (b, 0), (a, 1)]
    config = CacheConfig(
        layers=tuple(CacheLayer(blob=desc.digest, parent=parent) for desc, parent in layers),
        records=(_record("x", results=(_at(5, 2), _at(9, 0))), _record("y", results=(_at(2, 1),))),
    )
    inspection = _inspect(config, a, b, a)
    assert (len(inspection.layers), inspection.blobs, inspection.size) == (3, 2, 8)
    assert [(kind.media_type, kind.blobs, kind.size) for kind in inspection.kinds] == [
        (OCI_LAYER_GZIP, 1, 3),
        (OCI_LAYER_ZSTD, 1, 5),
    ]
    assert inspection.results == 3
    assert [[result.depth for result in record.results] for record in inspection.records] == [
        [3, 1],
        [2],
    ]
    newest = inspection.records[0].newest
    assert newest is not None
    assert newest.depth == 1
    assert (inspection.oldest, inspection.newest) == (Timestamp(2), Timestamp(9))


def test_a_layer_that_the_manifest_lacks() -> None:
    desc = _desc("a")
    config = CacheConfig(
        # Below a layer without descriptor nobody checks: here is a loop.
        layers=(
            CacheLayer(blob=Digest.of(b"gone"), parent=1),
            CacheLayer(blob=desc.digest, parent=0),
            CacheLayer(blob=Digest.of(b"gone too"), parent=99),
        ),
        records=(_record("x", results=(_at(1, 0), _at(0, 2))),),
    )
    inspection = _inspect(config, desc)
    assert inspection.notes == ("2 layers are not in the manifest: results with them are lost",)
    assert [layer.size for layer in inspection.layers] == [None, 10, None]
    assert any("?" in line for line in table_lines([inspection], 20, 80))


def test_chained_results() -> None:
    descs = [_desc(name) for name in "abc"]
    config = CacheConfig(
        layers=tuple(CacheLayer(blob=desc.digest, parent=-1) for desc in descs),
        records=(
            CacheRecord(
                digest=Digest.of(b"x"),
                chained_results=(ChainedResult(layers=(2, 0)),),
            ),
        ),
    )
    (record,) = _inspect(config, *descs).records
    (result,) = record.results
    assert (result.top, result.depth, result.chain, result.created_at) == (0, 2, (2, 0), None)


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (CacheConfig(records=(_record("x", (0,)),)), Loop),
        (CacheConfig(records=(_record("x", (7,)),)), WireFormat),
        (CacheConfig(records=(_record("x", ()),)), WireFormat),
        (CacheConfig(records=(_record("x", results=(_at(1, 5),)),)), WireFormat),
    ],
)
def test_what_cannot_be_imported_is_an_error(config: CacheConfig, error: type[Exception]) -> None:
    with pytest.raises(error):
        _inspect(config)


def test_nothing_in_a_cache_reaches_the_terminal() -> None:
    desc = _desc("a", note="RUN \x1b[2Jecho\x9b \u202e\nmore")
    config = CacheConfig(
        layers=(CacheLayer(blob=desc.digest, parent=-1),),
        records=(
            CacheRecord(digest='"];\x1b]0;\\x:"\x07', results=(_at(1, 0),)),
            CacheRecord(digest="y", inputs=((CacheInput(selector='a:"\\\x1b', link=0),),)),
        ),
    )
    inspections = [_inspect(config, desc)]
    views = (
        [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in _table(inspections)],
        tree_lines(inspections),
        dot_lines(inspections),
    )
    assert all(line.isprintable() for view in views for line in view)
    edge = [line for line in dot_lines(inspections) if "->" in line]
    assert edge == ['  c0r0 -> c0r1 [label="\\"\\\\\\\\x1b"];']


def _table(inspections: list[Inspection]) -> list[str]:
    return list(table_lines(inspections, 0, None))


def _records_in(lines: list[str]) -> list[int]:
    found = [line for line in lines if " #" in line and "record with" not in line]
    return [int(line.partition("#")[2].split()[0]) for line in found]


def _deep(per_level: int) -> CacheConfig:
    """Give a chain in which each record has as many others beside it, with no one below."""
    records = [_record("0")]
    previous = 0
    while len(records) < DEPTH:
        aside = [_record(str(len(records) + n), (previous,)) for n in range(per_level)]
        records += [*aside, _record(str(len(records) + per_level), (previous,))]
        previous = len(records) - 1
    layers = tuple(CacheLayer(blob=Digest.of(b"a"), parent=n - 1) for n in range(DEPTH))
    last = CacheRecord(digest="z", inputs=records[-1].inputs, results=(_at(1, DEPTH - 1),))
    return CacheConfig(layers=layers, records=(*records[:-1], last))


@pytest.mark.parametrize("per_level", [0, 1])
def test_depth_does_not_matter(per_level: int) -> None:
    inspection = _inspect(_deep(per_level), _desc("a"))
    newest = inspection.records[-1].newest
    assert newest is not None
    assert newest.depth == DEPTH
    lines = list(tree_lines([inspection]))
    assert sorted(_records_in(lines)) == list(range(len(inspection.records)))
    assert max(line.count("|") for line in lines[1:]) == per_level
    assert sum(1 for line in dot_lines([inspection]) if "->" in line) == len(inspection.records) - 1
    assert len(_table([inspection])) > DEPTH
    assert "".join(json_lines(CachesDocument.of([inspection]))).endswith("}")


def test_branches_are_never_indented_deeper_than_the_logarithm() -> None:
    complete = CacheConfig(
        records=(_record("0"), *(_record(str(n), ((n - 1) // 2,)) for n in range(1, 4095)))
    )
    lines = list(tree_lines([_inspect(complete)]))
    assert sorted(_records_in(lines)) == list(range(4095))
    assert max(line.count("|") for line in lines[1:]) == 11


def test_a_record_with_many_parents_stands_once_below_the_deepest() -> None:
    config = CacheConfig(
        records=(
            _record("far"),
            _record("a"),
            _record("b", (1,)),
            _record("shared", (0, 1, 2), (1,)),
            _record("many", tuple(range(4)), tuple(range(3))),
        )
    )
    lines = list(tree_lines([_inspect(config)]))
    assert lines[2:4] == ["no record stands below these:", f"  o {Digest.of(b'far')[7:19]} #0"]
    assert [line.split("#", 1)[1] for line in lines[5:]] == [
        "1",
        "2",
        "3  <- (#0 | #1 | #2) + #1",
        "4  <- (#0 | #1 | #2 | #3) + (#0 | #1 | #2)",
    ]


def test_alternatives_are_counted_where_they_are_many() -> None:
    records = [_record(str(number)) for number in range(9)]
    config = CacheConfig(records=(*records, _record("x", tuple(range(9)))))
    last = list(tree_lines([_inspect(config)]))[-1]
    assert last.endswith("<- (#0 | #1 | #2 | #3 | 5 more)")


def test_the_table_begins_with_the_largest_then_the_newest() -> None:
    descs = [_desc("small", size=1), _desc("large", size=9)]
    config = CacheConfig(
        layers=tuple(CacheLayer(blob=desc.digest, parent=-1) for desc in descs),
        records=(
            _record("none"),
            _record("old", results=(_at(1, 0),)),
            _record("new", results=(_at(2, 0),)),
            _record("large", results=(_at(0, 1),)),
        ),
    )
    rows = [line.split()[0] for line in _table([_inspect(config, *descs)])[-4:]]
    assert rows == ["3", "2", "1", "0"]
