"""Options that several verbs of images have, and the store that they work on."""

from __future__ import annotations

import os
import platform as machine
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cachexport.images.store import Store
    from cachexport.oci.descriptor import Platform

store_option = click.option(
    "--store",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The store, by default $CACHEXPORT_STORE or one in your home directory.",
)


def _platform(ctx: click.Context, param: click.Parameter, text: str | None) -> Platform | None:
    from cachexport.oci.platform import parse_platform

    try:
        return None if text is None else parse_platform(text)
    except InvalidInputError as error:
        raise click.BadParameter(str(error)) from None


platform_option = click.option(
    "--platform",
    metavar="PLATFORM",
    callback=_platform,
    help="Of an index the image for this platform, as in linux/arm64.",
)


@contextmanager
def opened_store(directory: Path | None) -> Iterator[Store]:
    """Have the store that `--store` or the environment names; it is made if need be."""
    from cachexport.images.store import Store
    from cachexport.images.store.store import home_store

    with Store.open(directory or home_store(os.environ), clock=time.time) as store:
        yield store


def this_machine() -> Platform:
    """Give the platform of this machine, as images call it."""
    from cachexport.oci.platform import parse_platform

    return parse_platform(machine.machine())


def pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    """Read `KEY=VALUE` texts. Raises BadParameter."""
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint=option)
        found[key] = value
    return found
