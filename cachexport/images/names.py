"""Names of images, as the entries of an index.json have them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cachexport.errors import InvalidReference
from cachexport.oci.index import IMAGE_NAME, REF_NAME
from cachexport.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.oci.descriptor import Descriptor


DANGLING = "moby-dangling@"
"""Prefix of the name of an image that has no other name; its digest follows."""


def parse_name(name: str) -> Reference:
    """Read the name that an image is to have. Raises InvalidReference, also for a digest."""
    reference = Reference.parse(name)
    if reference.digest is not None:
        raise InvalidReference(f"an image is given a name with a tag alone: {name!r}")
    return reference


def name_entries(desc: Descriptor, names: Iterable[str] | str) -> tuple[Descriptor, ...]:
    """Give an entry for each name, once, as containerd writes it; without names `desc` itself.

    `app` is `docker.io/library/app:latest`. Raises InvalidReference, also for a name with a digest:
    Docker loads none.
    """
    references = dict.fromkeys(map(parse_name, [names] if isinstance(names, str) else names))
    return tuple(_entry(desc, reference) for reference in references) or (desc,)


def names_of(entries: Iterable[Descriptor]) -> tuple[str, ...]:
    """Give the whole names that entries have, each once. Raises InvalidReference."""
    texts = (entry.annotations.get(IMAGE_NAME) for entry in entries)
    return tuple(dict.fromkeys(str(parse_name(text)) for text in texts if text))


def repo_tags(entries: Iterable[Descriptor]) -> Sequence[str]:
    """Give the names of entries as people write them, and Docker wants them in an archive."""
    return tuple(Reference.parse(name).familiar for name in names_of(entries))


def _entry(desc: Descriptor, reference: Reference) -> Descriptor:
    names = {IMAGE_NAME: str(reference), REF_NAME: reference.tag}
    return dataclasses.replace(desc, annotations={**desc.annotations, **names})
