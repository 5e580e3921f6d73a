"""Configs of images: empty, completed as BuildKit does on export, or extended by layers."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError
from cachexport.images.config.history import normalise_history, parse_history
from cachexport.model.envelope.inline import KEY
from cachexport.oci import gojson, rawjson
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cachexport.images.config.history import HistoryEntry
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.digest import Digest


_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WINDOWS_PATH = r"c:\Windows\System32;c:\Windows"


def empty_config(architecture: str, os: str = "linux", variant: str = "") -> bytes:
    """Give the config of an image without layers for machines such as `amd64`, `linux`."""
    if not architecture or not os:
        raise InvalidInputError("an image's config needs an architecture and an os, as in amd64")
    platform = Platform(architecture=architecture, os=os, variant=variant).encode()
    path = gojson.quote("PATH=" + (_WINDOWS_PATH if os == "windows" else _PATH))
    config = f'"config":{{"Env":[{path}],"WorkingDir":"/"}}'
    return f'{platform[:-1]},{config},"rootfs":{_rootfs(())}}}'.encode()


def complete_config(
    config: bytes, layers: Sequence[Descriptor], inline_cache: bytes | None = None
) -> bytes:
    """Give the config of the image that has these layers, bottom first.

    Normalises the history and patches `config`, as BuildKit does when it exports. The diff ID, time
    and description of a layer come from its annotations. `inline_cache` is what `encode_inline`
    gives. Raises WireFormat, and InvalidInputError for a compressed layer without a known diff ID.
    """
    return patch_config(
        config,
        diff_ids=[diff_id_of(layer) for layer in layers],
        history=normalise_history(parse_history(config), layers),
        inline_cache=inline_cache,
    )


def patch_config(
    config: bytes,
    *,
    diff_ids: Iterable[Digest],
    history: Sequence[HistoryEntry] | None,
    inline_cache: bytes | None = None,
) -> bytes:
    """Replace the layers and the history of a config, and keep everything else, known or not.

    `created` is set only where there is no such key, to the time of the last entry that has one.
    Without `inline_cache` one that is there already stays. Keys come out sorted; values keep their
    spelling but for spaces. Raises WireFormat when `config` is no JSON object.
    """
    members = rawjson.loads(config)
    members["rootfs"] = _rootfs(diff_ids)
    members["history"] = _history(history)
    members.setdefault("created", _created(history or ()))
    if inline_cache:
        members[KEY] = f'"{base64.b64encode(inline_cache).decode()}"'
    return rawjson.dumps(members)


def diff_id_of(layer: Descriptor) -> Digest:
    """Give the digest of a layer's uncompressed bytes.

    Raises InvalidInputError for a compressed layer without the annotation for it.
    """
    if diff_id := layer.diff_id:
        return diff_id
    if Compression.of(layer.media_type) is Compression.UNCOMPRESSED:
        return layer.digest
    raise InvalidInputError(f"layer {layer.digest} does not tell its diff ID in an annotation")


def read_diff_ids(config: bytes) -> tuple[str, ...]:
    """Give the diff IDs that a config names, unchecked. Raises WireFormat."""
    found = gojson.fields(gojson.loads(config), frozenset({"rootfs"}), "").get("rootfs")
    rootfs = gojson.fields(found, frozenset({"diff_ids"}), "rootfs")
    items = gojson.array(rootfs.get("diff_ids"), "rootfs.diff_ids")
    return tuple(gojson.string(item, "rootfs.diff_ids") for item in items)


def read_platform(config: bytes) -> Platform:
    """Give what a config says the image is for. Raises WireFormat."""
    return Platform.decode(gojson.loads(config))


def _rootfs(diff_ids: Iterable[Digest]) -> str:
    return f'{{"type":"layers","diff_ids":{json.dumps(list(diff_ids) or None)}}}'


def _history(history: Sequence[HistoryEntry] | None) -> str:
    if history is None:
        return "null"
    return f"[{','.join(entry.encode() for entry in history)}]"


def _created(history: Sequence[HistoryEntry]) -> str:
    times = [entry.created for entry in history if entry.created is not None]
    return f'"{times[-1]}"' if times else "null"


def extend_config(
    config: bytes,
    below: Sequence[Descriptor],
    layers: Sequence[Descriptor],
    entries: Sequence[HistoryEntry],
    inline_cache: bytes | None = None,
) -> bytes:
    """Give the config of an image with `layers`, which was made from one with the layers `below`.

    `config` is that image's, with its settings changed or not; `entries` are the new history. The
    time of the last entry, if it has one, becomes the image's. With new entries an inline cache in
    `config` is dropped: it describes the old image. Raises WireFormat, and InvalidInputError for a
    layer without a known diff ID.
    """
    before = normalise_history(parse_history(config), below) or ()
    if entries:
        members = rawjson.loads(config)
        members.pop(KEY, None)
        if entries[-1].created is not None:
            members.pop("created", None)
        config = rawjson.dumps(members)
    return patch_config(
        config,
        diff_ids=[diff_id_of(layer) for layer in layers],
        history=normalise_history((*before, *entries), layers),
        inline_cache=inline_cache,
    )
