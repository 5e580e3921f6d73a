"""A Chromium that is installed, and pages in it of which everything is heard."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cachexport.testing.services import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

QUIET = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]


@dataclass(frozen=True)
class Opened:
    """A page, and what came of opening it."""

    page: Page
    said: list[str] = field(default_factory=list)
    """What the console was told, and errors that nobody caught."""
    asked: list[str] = field(default_factory=list)
    """The addresses that were asked for."""

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start the browser, or skip the test where none is installed."""
    from playwright.sync_api import sync_playwright

    path = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, path: Path, width: int = 1280, **options: Any) -> Iterator[Opened]:
    """Open a file in a window so wide; it is closed with the block."""
    context = browser.new_context(viewport={"width": width, "height": 800}, **options)
    try:
        seen = Opened(context.new_page())
        seen.page.on("console", lambda message: seen.said.append(message.text))
        seen.page.on("pageerror", lambda error: seen.said.append(str(error)))
        seen.page.on("request", lambda request: seen.asked.append(request.url))
        seen.page.goto(path.as_uri())
        yield seen
    finally:
        context.close()
