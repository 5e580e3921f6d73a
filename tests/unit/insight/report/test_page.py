"""What a page says, and that nothing in a cache can make it do anything."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support import caches
from support.hostile import TEXT, Given, hostile_cache
from unit.insight.report.page_text import Page, said, source

from cachexport import Timestamp, load_cache, render_report, report_caches
from cachexport.errors import InvalidInputError, NotFound
from cachexport.insight.report import drawings
from cachexport.insight.report.drawings import treemap_data
from cachexport.insight.report.gather import gather
from cachexport.insight.report.page import embedded
from cachexport.insight.usage import measure_usage
from cachexport.model.config import CacheInput

if TYPE_CHECKING:
    from pathlib import Path

MAX, AMD64, BOTH = (
    f"type=local,src={caches.FOLDER / name}" for name in ("max", "multi-amd64", "multi-both")
)
WIDE = f"type=local,src={caches.FOLDER / 'wide.tar.gz'}"
NOW = Timestamp.parse("2026-11-24T00:20:30Z")


def page(*specs: str, **options: Any) -> Page:
    return Page(render_report(report_caches(specs, **options)))


def test_what_a_page_says() -> None:
    found = page(MAX, now=NOW)
    text = said(found.words)
    assert "1 build cache, 1.76 kB" in text
    assert "10 distinct layers, no fault." in text
    assert "16 records, 10 results." in text
    assert "3,944 bytes, 0.4% of 1 MiB" in text
    assert "the newest 2 days ago" not in text
    assert "The oldest was made 2 days ago, the newest 1 day ago." in text


def test_without_a_clock_no_age_is_told() -> None:
    found = page(MAX)
    assert "ago" not in said(found.words)
    assert not any(fact[0] == "Age" for node in nodes(found) for fact in node["facts"])


def test_the_same_caches_give_the_same_bytes() -> None:
    one, other = (render_report(report_caches([BOTH, AMD64], now=NOW)) for _ in range(2))
    assert one == other


def test_nothing_but_its_own_may_run_or_load() -> None:
    found = page(MAX)
    policy = found.policy
    [script], [style] = found.raw["script"], found.raw["style"]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == source(script)
    assert policy["style-src"] == source(style)
    assert "url(" not in style
    for tag, attrs in found.tags:
        assert "style" not in attrs
        assert not [name for name in attrs if name.startswith("on")]
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith("#") or tag == "link"
    [icon] = [attrs["href"] for tag, attrs in found.tags if tag == "link"]
    assert icon == "data:,"


def test_text_of_a_cache_stays_text() -> None:
    report = gather([(f"type=local,src={TEXT}", Given((hostile_cache(),)))])
    text = render_report(report)
    found = Page(text)
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in found.tags]
    [json_text] = found.raw["json"]
    assert not set("<>&\u2028") & set(json_text)
    cell = found.data["treemap"][0]["cells"][0]
    assert cell["title"] == TEXT
    assert any(node["facts"][0] == ["Digest", TEXT] for node in nodes(found))
    assert found.words.count(TEXT) >= 10
    assert text.count(TEXT) == 0


def test_embedded_json_cannot_end_its_element() -> None:
    text = embedded(["</script>", "<!--", "\u2028&"])
    assert not set("<>&\u2028") & set(text)


def test_names_that_are_no_unicode() -> None:
    [cache] = load_cache(MAX)
    text = render_report(gather([("type=local,src=\udcff", Given((cache,)))]))
    assert "type=<wbr>local,<wbr>src=<wbr>?</bdi>" in text


def nodes(found: Page) -> list[dict[str, Any]]:
    return [node for drawn in found.data["graphs"] if drawn for node in drawn["nodes"]]


def test_the_graph() -> None:
    found = page(MAX, now=NOW)
    [drawn] = found.data["graphs"]
    assert len(drawn["nodes"]) == 16
    assert [node["kind"] for node in drawn["nodes"]].count("result") == 10
    places = [(node["column"], node["row"]) for node in drawn["nodes"]]
    assert places == sorted(set(places))
    config = load_cache(MAX)[0].config
    pairs = {
        (config.records[link.link].digest, record.digest)
        for record in config.records
        for links in record.inputs
        for link in links
    }
    digest = [dict(node["facts"])["Digest"] for node in drawn["nodes"]]
    assert {(digest[one], digest[other]) for one, other, _ in drawn["edges"]} == pairs
    assert {kind for *_, kind in drawn["edges"]} == {"main", "alternative"}
    [end] = [node for node in drawn["nodes"] if "end" in dict(node["facts"])["Read by"]]
    assert dict(end["facts"])["Without it"] == "132 B would be freed"
    assert dict(end["facts"])["Age"] == "1 day ago"


def test_lines_that_would_hide_all_others_wait() -> None:
    found = page(WIDE)
    [drawn] = found.data["graphs"]
    assert len(drawn["nodes"]) == 641
    assert [kind for *_, kind in drawn["edges"]].count("hub") == 520
    assert "far lines show" in said(found.words)
    assert "far lines show" not in said(page(MAX).words)


def test_a_graph_too_large_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "MOST_RECORDS", 15)
    found = page(MAX)
    assert found.data["graphs"] == [None]
    assert "Too many to draw" in said(found.words)


def test_the_layers_of_one_cache() -> None:
    [group] = page(MAX).data["treemap"]
    assert group["title"] == ""
    assert [cell["bytes"] for cell in group["cells"]][:2] == [574, 163]
    assert {cell["kind"] for cell in group["cells"]} == {"shared", "unique"}


def test_the_layers_of_several_caches() -> None:
    groups = page(AMD64, BOTH).data["treemap"]
    assert [(group["title"], group["bytes"]) for group in groups] == [
        ("In several caches", 385),
        (f"Only in {BOTH}", 271),
    ]
    assert {cell["kind"] for cell in groups[0]["cells"]} == {"shared"}
    assert {cell["kind"] for cell in groups[1]["cells"]} == {"unique"}
    assert dict(groups[0]["cells"][0]["facts"])["In"] == f"{AMD64}\n{BOTH}"


def test_small_layers_are_summed_up() -> None:
    usage = measure_usage([("x", load_cache(MAX)[0])])
    [group] = treemap_data(usage, most=8)
    assert len(group["cells"]) == 9
    assert group["cells"][-1]["title"] == "2 smaller layers"
    assert sum(cell["bytes"] for cell in group["cells"]) == usage.size


def test_what_no_result_needs_is_told() -> None:
    [cache] = load_cache(MAX)
    bare = tuple(replace(record, results=()) for record in cache.config.records)
    found = Page(
        render_report(
            gather(
                [("x", Given((replace(cache, config=replace(cache.config, records=bare)),)))],
            )
        )
    )
    assert {cell["kind"] for cell in found.data["treemap"][0]["cells"]} == {"unused"}
    assert "No result has a date." in said(found.words)


def test_faults(tmp_path: Path) -> None:
    lost, damaged = tmp_path / "lost", tmp_path / "damaged"
    for copy in (lost, damaged):
        shutil.copytree(caches.FOLDER / "max", copy)
    [cache] = load_cache(MAX)
    blobs = lost / "blobs" / "sha256"
    (blobs / cache.layers[0].digest.encoded).unlink()
    for path in (damaged / "blobs" / "sha256").iterdir():
        path.chmod(0o644)
        path.write_bytes(b"{}")
    report = report_caches([f"type=local,src={path}" for path in (lost, damaged, "/nowhere")])
    assert (report.faults, report.present, report.absent) == (2, 2, 1)
    text = said(Page(render_report(report)).words)
    assert "missing" in text
    assert "damaged" in text
    assert "2 faults, 1 cache not there" in text
    assert "Not there" in text


def test_a_damaged_graph_is_a_fault() -> None:
    [cache] = load_cache(MAX)
    record = replace(cache.config.records[0], inputs=((CacheInput(link=99),),))
    broken = replace(cache, config=replace(cache.config, records=(record,)))
    report = gather([("broken", Given((broken,))), ("good", Given((cache,)))])
    assert [one.inspection is None for one in report.caches] == [True, False]
    found = Page(render_report(report))
    assert len(found.data["graphs"]) == 1
    assert "damaged" in said(found.words)


def test_several_caches_of_one_source() -> None:
    [cache] = load_cache(MAX)
    report = gather([("image", Given((cache, cache))), ("bare", Given(()))])
    assert [one.name for one in report.caches] == ["image (1 of 2)", "image (2 of 2)", "bare"]
    assert report.caches[2].absent == "bare: the image has no inline cache"


def test_nothing_to_report_on() -> None:
    with pytest.raises(NotFound, match="nowhere"):
        report_caches(["type=local,src=/nowhere"])
    with pytest.raises(InvalidInputError, match="list"):
        report_caches(MAX)
