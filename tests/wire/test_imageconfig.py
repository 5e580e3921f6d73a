"""Configs of images: what BuildKit makes of one when it exports an image, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
from support import vectors

from cachexport import Descriptor, Digest
from cachexport.images.config.config import complete_config, patch_config
from cachexport.images.config.history import normalise_history, parse_history
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED
from cachexport.oci.mediatype import OCI_LAYER_GZIP

ROWS = vectors.rows("imageconfig")


def layers(row: dict[str, Any]) -> list[Descriptor]:
    return [
        Descriptor(
            media_type=OCI_LAYER_GZIP,
            digest=Digest.of(diff_id.encode()),
            size=1,
            annotations={
                UNCOMPRESSED: diff_id,
                DESCRIPTION: layer["description"],
                CREATED_AT: layer["createdAt"],
            },
        )
        for diff_id, layer in zip(row["diffIDs"] or (), row["layers"] or (), strict=True)
    ]


def completed(row: dict[str, Any]) -> bytes:
    return complete_config(row["config"].encode(), layers(row), row["inlineCache"].encode())


def test_the_vectors_are_all_there() -> None:
    assert len(ROWS) == 60


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_the_config_of_buildkits_image(row: dict[str, Any]) -> None:
    assert completed(row).decode() == row["patched"]


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_doing_it_again_changes_nothing(row: dict[str, Any]) -> None:
    once = completed(row)
    history = normalise_history(parse_history(once), layers(row))
    diff_ids = [Digest.parse(text) for text in row["diffIDs"] or ()]
    assert patch_config(once, diff_ids=diff_ids, history=history) == once
