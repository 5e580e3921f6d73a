"""Graphs of records against BuildKit's own bytes for the same `add` calls."""

import random

import pytest
from support import vectors

from cachexport import encode_inline
from cachexport.contract.export import CommonExport
from cachexport.model import config as cacheconfig
from cachexport.model.envelope.manifest import (
    Form,
)
from cachexport.testing.meaning import difference
from cachexport.transfer.prepare import marshalled, prepare_chains

NATURAL = vectors.rows("chains-natural")
WILD = vectors.rows("chains-wild")
STABLE = [row for row in NATURAL + WILD if row["stable"]]
UNSTABLE = [row for row in NATURAL + WILD if not row["stable"]]


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=[row["name"] for row in rows])


def test_the_vectors_are_all_there():
    assert (len(NATURAL), len(WILD), len(UNSTABLE)) == (60, 60, 36)


@named(STABLE)
def test_config_has_buildkits_bytes(row):
    config, _ = vectors.build(row).marshal()
    assert config.encode().decode() == row["configs"][0]


@named(UNSTABLE)
def test_config_means_what_buildkits_mean(row):
    config, _ = vectors.build(row).marshal()
    assert config.encode() == vectors.build(row).marshal()[0].encode()
    for text in row["configs"]:
        assert difference(config, cacheconfig.decode(text.encode())) is None


@named(NATURAL + WILD)
def test_order_of_adds_does_not_matter(row):
    expected, blobs = vectors.build(row).marshal()
    needs = vectors.needs(row)
    rng = random.Random(row["name"])
    for _ in range(3):
        order: list[int] = []
        while len(order) < len(needs):
            ready = [i for i, before in enumerate(needs) if i not in order and before <= {*order}]
            order.append(rng.choice(ready))
        config, others = vectors.build(row, order).marshal()
        assert config.encode() == expected.encode()
        assert others == blobs


@named(NATURAL + WILD)
def test_parsing_and_marshalling_again_changes_nothing(row):
    config, sources = vectors.build(row).marshal()
    again, _ = type(vectors.build(row)).parse(config.encode(), sources).marshal()
    assert difference(config, again) is None
    if row in NATURAL:
        assert again.encode() == config.encode()


@named([row for row in STABLE if row.get("forms")])
def test_forms_have_buildkits_bytes(row):
    for name, expected in row["forms"].items():
        wrapped = marshalled(vectors.build(row), Form(name)).wrapped
        assert wrapped.manifest.decode() == expected["manifest"]
        descriptor = wrapped.descriptor
        assert descriptor.media_type == expected["descriptor"]["mediaType"]
        assert descriptor.digest == expected["descriptor"]["digest"]
        assert descriptor.size == expected["descriptor"]["size"]


def test_every_form_is_in_the_vectors():
    assert {name for row in NATURAL for name in row.get("forms", {})} == set(Form)


@named([row for row in NATURAL if "inline" in row])
def test_inline_cache_has_buildkits_bytes(row):
    inline = encode_inline(vectors.build(row), row["inlineFor"])
    assert (inline or b"").decode() == (row["inline"] or "")


def test_buildkits_default_is_the_image_manifest_with_all_results():
    row = next(row for row in NATURAL if row.get("forms"))
    wrapped = prepare_chains(vectors.build(row), CommonExport()).wrapped
    assert wrapped.manifest.decode() == row["forms"]["image-manifest"]["manifest"]
