"""The history of an image: one entry for each step that made it, some of them with a layer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from cachexport.errors import InvalidInputError, WireFormat
from cachexport.oci import gojson
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION
from cachexport.oci.timestamp import Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cachexport.oci.descriptor import Descriptor

_log = logging.getLogger(__name__)
_FIELDS = frozenset({"created", "created_by", "author", "comment", "empty_layer"})
_NO_DESCRIPTION = "created by buildkit"
_COMMENT = "buildkit.exporter.image.v0"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A build step, its fields in wire order. It made a layer unless `empty_layer` is set."""

    created: Timestamp | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    def encode(self) -> str:
        """Give the entry's JSON as Go writes it."""
        members = [] if self.created is None else [f'"created":"{self.created}"']
        texts = {"created_by": self.created_by, "author": self.author, "comment": self.comment}
        members += [f'"{name}":{gojson.quote(text)}' for name, text in texts.items() if text]
        if self.empty_layer:
            members.append('"empty_layer":true')
        return "{" + ",".join(members) + "}"

    @classmethod
    def decode(cls, value: Any) -> Self:
        """Read the entry from parsed JSON. Raises WireFormat if that is not an entry."""
        found = gojson.fields(value, _FIELDS, "")
        return cls(
            created=_time(found.get("created"), "created"),
            created_by=gojson.string(found.get("created_by"), "created_by"),
            author=gojson.string(found.get("author"), "author"),
            comment=gojson.string(found.get("comment"), "comment"),
            empty_layer=gojson.boolean(found.get("empty_layer"), "empty_layer"),
        )


def parse_history(config: bytes) -> tuple[HistoryEntry, ...] | None:
    """Read the history from an image's config; None if it has none. Raises WireFormat."""
    value = gojson.fields(gojson.loads(config), frozenset({"history"}), "").get("history")
    if value is None:
        return None
    return tuple(gojson.each(value, "history", HistoryEntry.decode))


def normalise_history(
    history: Iterable[HistoryEntry] | None, layers: Sequence[Descriptor]
) -> tuple[HistoryEntry, ...] | None:
    """Make the history match these layers, bottom first, as BuildKit does.

    A layer without an entry gets one from its annotations (description and time). If more entries
    have a layer than there are layers, the last ones are marked as empty, with a warning. None
    stays None if there are no layers. Raises WireFormat if an annotated time is not a time.
    """
    if history is None and not layers:
        return None
    fitted = _without_surplus(tuple(history or ()), len(layers))
    missing = layers[sum(not entry.empty_layer for entry in fitted) :]
    return tuple(_timed((*fitted, *map(_entry_of, missing)), layers))


def _without_surplus(history: tuple[HistoryEntry, ...], count: int) -> tuple[HistoryEntry, ...]:
    full = [number for number, entry in enumerate(history) if not entry.empty_layer]
    surplus = frozenset(islice(full, count, None))
    if surplus:
        _log.warning(
            "the history tells of %d layers, the image has %d: the last entries count as empty",
            len(full),
            count,
        )
    return tuple(
        replace(entry, empty_layer=True) if number in surplus else entry
        for number, entry in enumerate(history)
    )


def _entry_of(layer: Descriptor) -> HistoryEntry:
    return HistoryEntry(
        created=_made_at(layer),
        created_by=layer.annotations.get(DESCRIPTION) or _NO_DESCRIPTION,
        comment=_COMMENT,
    )


def _timed(history: Iterable[HistoryEntry], layers: Iterable[Descriptor]) -> Iterator[HistoryEntry]:
    """Give each entry that has a layer but no time the time of that layer."""
    rest = iter(layers)
    for entry in history:
        made_at = None if entry.empty_layer else _made_at(next(rest))
        yield entry if entry.created is not None else replace(entry, created=made_at)


def _made_at(layer: Descriptor) -> Timestamp | None:
    try:
        return _time(layer.annotations.get(CREATED_AT) or None, f"annotations[{CREATED_AT!r}]")
    except WireFormat as error:
        raise error.under(layer.digest) from None


def _time(value: Any, path: str) -> Timestamp | None:
    if value is None:
        return None
    try:
        return Timestamp.parse(gojson.string(value, path))
    except WireFormat:
        raise
    except InvalidInputError as error:
        raise WireFormat(str(error), path) from error
