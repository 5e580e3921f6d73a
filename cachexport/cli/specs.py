"""Cache specifications as arguments: how they complete, and a hint for a common slip."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cachexport.cli import console
from cachexport.errors import CachexportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import click
    from click.shell_completion import CompletionItem


def complete_spec(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete `type=` to the backends that are installed."""
    from click.shell_completion import CompletionItem

    from cachexport.contract.discovery import installed_backends

    words = [f"type={kind}" for kind in sorted(installed_backends())]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        return False  # too long for a path, as a reference may be


@contextmanager
def hinting_at_paths(specs: Iterable[str]) -> Iterator[None]:
    """Hint at bare paths, which are registry references to BuildKit.

    What looks like a cache is told of before Docker Hub is asked for it, anything else that is
    there with the error.
    """
    specs = list(specs)
    for text in specs:
        if "=" not in text and _exists(f"{text}/index.json"):
            console.hint(f"{text} is taken for a reference; a directory is type=local,src={text}")
    try:
        yield
    except CachexportError as error:
        for text in specs:
            if "=" not in text and _exists(text):
                error.add_note(f"a local cache is named as in type=local,src={text}")
        raise
