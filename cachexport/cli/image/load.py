"""`cachexport image load`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, in_line
from cachexport.cli.image.options import opened_store, store_option
from cachexport.cli.options import progress_option, reporting
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEMPORARY = "the folder for temporary files"


@click.command(
    "load",
    epilog=verbatim(
        """
        Archives are those of `docker save`, `docker buildx build --output
        type=docker` or type=oci, `skopeo copy`, `cachexport image save`; gzipped
        ones too.

        Examples:
          cachexport image load app.tar
          docker save example/app:1 | cachexport image load -
        """
    ),
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE")
@store_option
@progress_option
def command(file: Path, directory: Path | None, mode: str) -> None:
    """Take the images of an archive into the store.

    Their names are answered. Nothing has a name before all of the archive was read and found
    right. An image without a name is called moby-dangling@ and its digest.
    """
    from cachexport.images.stored import load_archive

    with (
        reporting(mode, ()) as progress,
        _as_file(file) as path,
        opened_store(directory) as store,
    ):
        loaded = load_archive(path, store, progress=progress)
    answer(in_line(image.name) for image in loaded)


@contextmanager
def _as_file(path: Path) -> Iterator[Path]:
    """Have what is at `path` as a file; what comes on stdin cannot be read in any order."""
    if str(path) != "-":
        yield path
        return
    from cachexport.content.files.errors import translated

    with translated("write", _TEMPORARY):
        file = tempfile.NamedTemporaryFile(prefix="cachexport-")  # noqa: SIM115 - closed below
    with file:
        with translated("write", _TEMPORARY):
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.flush()
        yield Path(file.name)
