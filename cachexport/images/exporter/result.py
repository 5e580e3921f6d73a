"""What a build hands to an exporter of images: layers, and what it says about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cachexport.errors import InvalidInputError
from cachexport.oci import gojson
from cachexport.oci.descriptor import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.model.chains import Remote

CONFIG_KEY = "containerimage.config"
"""Metadata: the image's config; of several images each has its own, after a slash its ID."""
PLATFORMS_KEY = "refs.platforms"
"""Metadata: JSON that tells for each ID which platform it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """One image as `ref`, or images by ID as `refs`; None is an image without layers."""

    ref: Remote | None = None
    refs: Mapping[str, Remote | None] = field(default_factory=dict, hash=False)
    metadata: Mapping[str, bytes] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The one image of a result."""

    layers: Remote | None
    config: bytes
    """Empty where the build gave none."""
    platform: Platform | None
    """None where the build did not say."""


def choose(result: BuildResult) -> Chosen:
    """Give the one image of a result. Raises InvalidInputError when there is not just one."""
    if result.ref is not None and result.refs:
        raise InvalidInputError("a build gives either one ref or a map of refs, not both")
    if len(result.refs) > 1:
        ids = ", ".join(sorted(result.refs))
        raise InvalidInputError(f"only one image can be exported to a store at once, not {ids}")
    if not result.refs:
        config = result.metadata.get(CONFIG_KEY, b"")
        return Chosen(layers=result.ref, config=config, platform=None)
    [layers] = result.refs.values()
    name, platform = _platform(result)
    config = result.metadata.get(f"{CONFIG_KEY}/{name}", b"")
    return Chosen(layers=layers, config=config, platform=platform)


def _platform(result: BuildResult) -> tuple[str, Platform]:
    raw = result.metadata.get(PLATFORMS_KEY)
    if raw is None:
        raise InvalidInputError(f"refs have no platforms: {PLATFORMS_KEY} is not in the metadata")
    found = gojson.fields(gojson.loads(raw), frozenset({"Platforms"}), "").get("Platforms")
    platforms = gojson.each(found, "Platforms", _named_platform)
    if len(platforms) != len(result.refs):
        raise InvalidInputError(
            f"{len(result.refs)} refs, but {len(platforms)} platforms in {PLATFORMS_KEY}"
        )
    return platforms[0]


def _named_platform(value: Any) -> tuple[str, Platform]:
    found = gojson.fields(value, frozenset({"ID", "Platform"}), "")
    return gojson.string(found.get("ID"), "ID"), Platform.decode(found.get("Platform") or {})
