"""The page: one file that loads nothing else.

All that comes from a cache is text to the template, which escapes it, and data to the script, which
writes it as text. The page's content security policy allows only the script and style in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from cachexport.contract.units import (
    readable,
)
from cachexport.insight.report import words
from cachexport.insight.report.drawings import graph_data, kind_of, treemap_data
from cachexport.insight.report.words import count_ages
from cachexport.model.envelope.cache import WrappedCache

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from jinja2 import Environment
    from markupsafe import Markup

    from cachexport.insight.report.gather import Report, Reported

_SCRIPTS = ("dom", "choosing", "squarify", "treemap", "zoom", "graph", "main")
_STYLES = ("colours", "page", "parts", "drawings", "print")
_PART = re.compile(r"[^/,:;=]*[/,:;=]?")
_ROWS = 100
"""Rows of a table in the page; `du` has them all."""


def render_report(report: Report) -> str:
    """Give the page as HTML. The same report gives the same text."""
    style = "\n".join(_part("style", f"{name}.css") for name in _STYLES)
    script = "\n".join(_part("script", f"{name}.js") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{script}}})();\n'
    data = _data(report)
    page = _environment().get_template("page.html")
    text = page.render(
        report=report,
        data=embedded(data),
        graphs=data["graphs"],
        policy=_policy(style, script),
        style=style,
        script=script,
        most=_ROWS,
        several=len(report.usage.names) > 1,
    )
    # A name from the command line may be invalid Unicode, which UTF-8 cannot encode.
    return text.encode(errors="replace").decode()


def embedded(data: Any) -> str:
    """Give JSON for a script element, which no text in it can end."""
    # All else that HTML or old JavaScript could misread is not ASCII, so `dumps` escapes it.
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(report: Report) -> dict[str, Any]:
    return {
        "treemap": treemap_data(report.usage),
        "graphs": [
            graph_data(number, inspection, report.usage, report.now)
            for number, _, inspection, _ in report.read()
        ],
    }


def _policy(style: str, script: str) -> str:
    allowed = f"style-src {_source(style)}; script-src {_source(script)}; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _part(folder: str, name: str) -> str:
    return (_here() / folder / name).read_text(encoding="utf-8")


def _here() -> Traversable:
    return files("cachexport.insight.report")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: _part("html", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        age=words.age,
        breakable=_breakable,
        counted=words.counted,
        instant=words.instant,
        readable=readable,
        short=words.short,
        span=words.span,
    )
    environment.globals.update(ages=_ages, kind_of=kind_of, is_limited=_is_limited)
    return environment


def _breakable(text: str) -> Markup:
    """Escape text, and allow a line break where a path or an attribute ends."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(part) for part in _PART.findall(text) if part)


def _ages(reported: Reported) -> Any:
    if reported.inspection is None:
        return None
    results = (result for record in reported.inspection.records for result in record.results)
    return count_ages(result.created_at for result in results if result.created_at is not None)


def _is_limited(reported: Reported) -> bool:
    """Say whether BuildKit's size limit applies: it does not to names in buckets."""
    return isinstance(reported.cache, WrappedCache) and reported.cache.named is None
