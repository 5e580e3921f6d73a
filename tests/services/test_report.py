"""The page in a real browser: it draws, it can be used by everybody, and it asks nobody."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from support import caches
from support.hostile import TEXT, Given, hostile_cache
from support.services.browser import opened

from cachexport import render_report, report_caches
from cachexport.insight.report.gather import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

NAMES = {
    "max": ["max"],
    "wide": ["wide.tar.gz"],
    "several": ["multi-amd64", "multi-arm64", "multi-both", "nowhere"],
}
DRAWN = {"max": (10, 16), "wide": (600, 641), "several": (5, 17)}
PAGES = pytest.mark.parametrize("name", NAMES)
CHOSEN = "[role=option][aria-selected=true]"
FOCUSED = "document.activeElement.getAttribute('aria-label')"

WIDTHS, SCHEMES = (1280, 360), ("light", "dark")

Open = "Callable[..., Opened]"


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("pages")

    def write(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            specs = [f"type=local,src={caches.FOLDER / cache}" for cache in NAMES[name]]
            report = report_caches(specs, now="2026-11-24T00:00:00Z")
            path.write_text(render_report(report), encoding="utf-8")
        return path

    return write


@pytest.fixture
def look(chromium: Browser, pages: Callable[[str], Path]) -> Iterator[Open]:
    with ExitStack() as stack:
        yield lambda name, **options: stack.enter_context(opened(chromium, pages(name), **options))


@PAGES
def test_all_is_drawn_and_nothing_else_is_asked_for(look: Open, name: str) -> None:
    seen = look(name)
    assert (seen.count(".cell"), seen.count(".node")) == DRAWN[name]
    assert seen.said == []
    assert [address.partition(":")[0] for address in seen.asked] == ["file"]


def test_choosing_is_quick_where_there_is_much(look: Open) -> None:
    seen = look("wide")
    milliseconds = seen.run(
        """() => {
            const nodes = [...document.querySelectorAll(".node")];
            const begin = performance.now();
            nodes.forEach((node) => node.focus());
            return (performance.now() - begin) / nodes.length;
        }"""
    )
    assert milliseconds < 50


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("wide", 1280, "light"),
        *((name, *kind) for name in ("max", "several") for kind in product(WIDTHS, SCHEMES)),
    ],
)
def test_rules_for_accessible_pages(look: Open, name: str, scheme: str, width: int) -> None:
    seen = look(name, width=width, color_scheme=scheme)
    seen.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = Axe().run(seen.page)
    assert found.violations_count == 0, found.generate_report()


@PAGES
def test_a_phone_shows_all_of_its_width(look: Open, name: str) -> None:
    seen = look(name, width=360, has_touch=True, is_mobile=True)
    seen.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert seen.run("document.documentElement.scrollWidth") <= 360
    assert (seen.count(".cell"), seen.count(".node")) == DRAWN[name]
    cells = seen.run(
        "[...document.querySelectorAll('.cell')].map((cell) => cell.getBoundingClientRect().right)"
    )
    assert max(cells) <= 360


def test_texts_of_a_cache_do_nothing(chromium: Browser, tmp_path: Path) -> None:
    path = tmp_path / "hostile.html"
    report = gather([(f"type=local,src={TEXT}", Given((hostile_cache(),)))])
    path.write_text(render_report(report), encoding="utf-8")
    with opened(chromium, path) as seen:
        seen.page.on("dialog", lambda dialog: seen.said.append(dialog.message))
        assert seen.page.locator(".cell span").first.inner_text().startswith("</script><script>")
        assert (seen.count("script"), seen.count("img"), seen.count(".node")) == (2, 0, 16)
        assert "<img src=x onerror=alert(2)>" in seen.page.locator("h2").last.inner_text()
        assert (seen.said, len(seen.asked)) == ([], 1)


def test_dark_and_light(look: Open) -> None:
    colours = [
        look("max", color_scheme=scheme).run("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(251, 251, 248)", "rgb(19, 24, 26)"]


def test_the_tab_key_leads_through_the_page(look: Open) -> None:
    seen = look("max")
    stops = []
    for _ in range(40):
        seen.press("Tab")
        stop = seen.run(
            """() => {
                const on = document.activeElement;
                const style = getComputedStyle(on.matches(".node") ? on.querySelector("rect") : on);
                const seen = on.matches(".node")
                    ? parseFloat(style.strokeWidth) >= 3
                    : style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
                const box = on.getBoundingClientRect();
                return [on.textContent.trim().split("\\n")[0], seen && box.top >= 0, on.tagName];
            }"""
        )
        if stop[2] == "BODY":
            break
        stops.append(stop[:2])
    names = [name for name, _ in stops]
    assert names[0] == "Skip to the content"
    assert names.index("Layers") < names.index("The same as a table")
    assert any(name.startswith("6188e3cf30db") for name in names)
    assert names[-2].startswith("99dbffa949a6")
    assert [name for name, is_seen in stops if not is_seen] == []


def test_the_skip_link_skips(look: Open) -> None:
    seen = look("max")
    seen.press("Tab", "Enter", "Tab")
    assert seen.run(FOCUSED).startswith("6188e3cf30db")


def test_arrow_keys_in_the_layers(look: Open) -> None:
    seen = look("max")
    seen.page.locator(".cell").first.focus()
    assert seen.run(FOCUSED) == "6188e3cf30db, 574 B, shared"
    seen.press("ArrowRight")
    right = seen.run(FOCUSED)
    assert right != "6188e3cf30db, 574 B, shared"
    assert seen.page.locator("#layer .name").inner_text() == right.split(",")[0]
    seen.press("End")
    assert "92 B" in seen.run(FOCUSED)
    seen.press("PageUp", "PageDown", "ArrowLeft", "Home")
    assert "574 B" in seen.run(FOCUSED)
    assert seen.count(f".treemap {CHOSEN}") == seen.count(".treemap [tabindex='0']") == 1


def test_arrow_keys_follow_the_lines(look: Open) -> None:
    seen = look("max")
    seen.page.locator(".node").first.focus()
    walked = [seen.run(FOCUSED).split(",")[0]]
    for _ in range(8):
        seen.press("ArrowRight")
        walked.append(seen.run(FOCUSED).split(",")[0])
    assert walked[:3] == ["99dbffa949a6", "060e17997f93", "e4e0b9846343"]
    assert walked[-1] == "0dd0783ddd2f"
    assert "132 B would be freed" in seen.page.locator("#record-0").inner_text()
    seen.press("ArrowLeft", "ArrowLeft", "ArrowDown")
    assert seen.run(FOCUSED).split(",")[0] == "38d520cf1ab0"
    assert seen.run("document.querySelector('.line.hot').getAttribute('d')").count("M") == 1


def test_the_pointer_tells_too(look: Open) -> None:
    seen = look("max")
    node = seen.page.locator(".node", has_text="ca76b3041843")
    node.hover()
    assert "ca76b3041843" in seen.page.locator("#record-0").inner_text()
    seen.page.mouse.move(1, 1)
    assert "99dbffa949a6" in seen.page.locator("#record-0").inner_text()
    node.click()
    seen.page.mouse.move(1, 1)
    assert "ca76b3041843" in seen.page.locator("#record-0").inner_text()


def test_zoom(look: Open) -> None:
    seen = look("wide")
    width = "Number(document.querySelector('.view svg').getAttribute('width'))"
    before = seen.run(width)
    seen.page.get_by_role("button", name="Zoom in").click()
    larger = seen.run(width)
    assert larger == pytest.approx(1.4 * before)
    seen.page.get_by_role("button", name="Whole graph").click()
    assert seen.run(width) <= 1280
    seen.page.locator(".node").first.focus()
    seen.press(*"+++++")
    assert seen.run("document.querySelectorAll('.view svg.far').length") == 0
    seen.press(*"-----")
    assert seen.run("document.querySelectorAll('.view svg.far').length") == 1


def test_areas_are_as_large_as_bytes(look: Open) -> None:
    seen = look("max")
    areas: list[Any] = seen.run(
        """[...document.querySelectorAll(".cell")].map((cell) => {
            const box = cell.getBoundingClientRect();
            return [(box.width + 2) * (box.height + 2), cell.getAttribute("aria-label")];
        })"""
    )
    total = sum(area for area, _ in areas)
    for area, label in areas:
        size = int(label.split(", ")[1].removesuffix(" B"))
        assert area / total == pytest.approx(size / 1762, rel=0.02)


def test_print(look: Open) -> None:
    seen = look("max")
    seen.page.emulate_media(media="print")
    assert not seen.page.get_by_role("button", name="Zoom in").is_visible()
    assert seen.page.locator(".cell").first.is_visible()
    assert seen.page.pdf().startswith(b"%PDF")
