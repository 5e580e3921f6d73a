"""`cachexport image append`."""

from __future__ import annotations

import json
import shlex
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, streaming
from cachexport.cli.image.options import (
    opened_store,
    pairs,
    platform_option,
    store_option,
    this_machine,
)
from cachexport.cli.options import progress_option, reporting
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from pathlib import Path

    from cachexport.oci.descriptor import Platform


def _words(ctx: click.Context, param: click.Parameter, text: str | None) -> list[str] | None:
    """Read a JSON array, or words as a shell parts them."""
    if text is None:
        return None
    try:
        words = json.loads(text) if text.startswith("[") else shlex.split(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error}") from None
    if not all(isinstance(word, str) for word in words):
        raise click.BadParameter(f"{text!r} has what is no text")
    return list(words)


@click.command(
    "append",
    epilog=verbatim(
        """
        Layers, each an option --layer, from the bottom up:
          DIR        what is in the directory, for the root of the image
          PATH:/DIR  a directory's content, or with a slash at the end a file, there
          FILE       a tar archive, perhaps compressed, that is the layer
        Copied files are root's and have the time 0, so the same files make the
        same image; SOURCE_DATE_EPOCH is the time of the image's history.

        OUTPUT is what `image save` takes; without it the image goes into the store.

        Examples:
          cachexport image append --layer dist:/app --entrypoint /app/run \\
              --name example/app:1
          cachexport image append --base alpine:3.20 --layer rootfs.tar \\
              -o type=docker,dest=app.tar,name=app:1
          cachexport image append --base registry.example/base:1 --env LEVEL=info \\
              -o type=registry,name=registry.example/app:1
        """
    ),
)
@click.option("--base", metavar="IMAGE", help="As for `inspect`; nothing without it.")
@click.option("--layer", "layers", multiple=True, metavar="LAYER", help="What to put on top.")
@click.option("--name", "names", multiple=True, metavar="NAME", help="A name of the new image.")
@click.option("-o", "--output", metavar="OUTPUT", default="type=store", help="Where to.")
@click.option("--entrypoint", callback=_words, metavar="WORDS", help="Also as a JSON array.")
@click.option("--cmd", callback=_words, metavar="WORDS", help="Also as a JSON array.")
@click.option("--env", multiple=True, metavar="KEY=VALUE", help="A variable.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label.")
@click.option("--workdir", metavar="DIR", help="Where it runs.")
@click.option("--user", metavar="USER", help="As whom it runs.")
@platform_option
@store_option
@progress_option
def command(
    base: str | None,
    layers: tuple[str, ...],
    names: tuple[str, ...],
    output: str,
    entrypoint: list[str] | None,
    cmd: list[str] | None,
    env: tuple[str, ...],
    labels: tuple[str, ...],
    workdir: str | None,
    user: str | None,
    platform: Platform | None,
    directory: Path | None,
    mode: str,
) -> None:
    """Put layers on top of an image, which is not unpacked.

    The digest of the new image is answered, unless the image itself goes to stdout. The layers of
    the base are not read unless they have to go where they are not.
    """
    from cachexport.api.images import append_image, open_any
    from cachexport.cli.image.save import check_stdout
    from cachexport.cli.options import source_date_epoch
    from cachexport.images import Settings
    from cachexport.images.additions import Addition
    from cachexport.images.output import parse_output, to_stdout
    from cachexport.oci.mediatype import INDEXES

    settings = Settings(
        entrypoint=entrypoint,
        cmd=cmd,
        env=pairs(env, "--env"),
        labels=pairs(labels, "--label"),
        working_dir=workdir,
        user=user,
    )
    parsed = parse_output(output, names)
    check_stdout(parsed)
    with (
        streaming() as stdout,
        reporting(mode, ()) as progress,
        opened_store(directory) as store,
        ExitStack() as stack,
    ):
        opened = stack.enter_context(open_any(store, base)[0]) if base else None
        if platform is None and (opened is None or opened.descriptor.media_type in INDEXES):
            platform = this_machine()
        made = append_image(
            opened,
            [Addition.parse(text) for text in layers],
            parsed,
            settings=settings,
            platform=platform,
            created=source_date_epoch(),
            store=store,
            stdout=stdout,
            progress=progress,
        )
    if not to_stdout(parsed):
        answer([made.digest])
