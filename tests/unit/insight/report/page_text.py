"""Reading pages as a browser would, without one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """The elements of a page, their text, and the texts of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {}
        self.words = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = tag if dict(attrs).get("type") is None else "json"
            self.raw.setdefault(self._inside, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.raw[self._inside][-1] += data
        else:
            self.words += data

    @property
    def data(self) -> dict[str, Any]:
        [text] = self.raw["json"]
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def policy(self) -> dict[str, str]:
        [content] = [
            attrs["content"] or ""
            for tag, attrs in self.tags
            if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
        ]
        rules = [rule.split(maxsplit=1) for rule in content.split(";")]
        return dict(rules)


def source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def said(text: str) -> str:
    """Give text with its white space as it is shown."""
    return re.sub(r"\s+", " ", text)
