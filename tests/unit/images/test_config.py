from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachexport.errors import InvalidInputError, WireFormat
from cachexport.images.config.config import (
    complete_config,
    diff_id_of,
    empty_config,
    patch_config,
    read_diff_ids,
    read_platform,
)
from cachexport.images.config.history import HistoryEntry, normalise_history, parse_history
from cachexport.model.envelope.inline import KEY
from cachexport.oci.descriptor import CREATED_AT, DESCRIPTION, UNCOMPRESSED, Descriptor, Platform
from cachexport.oci.digest import Digest
from cachexport.oci.mediatype import OCI_LAYER, OCI_LAYER_GZIP
from cachexport.oci.timestamp import Timestamp

NOON = "2026-11-22T12:00:00.5Z"


def layer(raw: bytes = b"layer", media_type: str = OCI_LAYER, **told: str) -> Descriptor:
    names = {"description": DESCRIPTION, "created": CREATED_AT, "diff_id": UNCOMPRESSED}
    return Descriptor(
        media_type=media_type,
        digest=Digest.of(raw),
        size=len(raw),
        annotations={names[key]: text for key, text in told.items()},
    )


def patched(config: bytes) -> dict[str, object]:
    result = json.loads(patch_config(config, diff_ids=(), history=None))
    assert isinstance(result, dict)
    return result


def test_an_empty_config() -> None:
    assert empty_config("amd64").decode() == (
        '{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/sbin:'
        '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/"},'
        '"rootfs":{"type":"layers","diff_ids":null}}'
    )
    arm = Platform(architecture="arm", os="linux", variant="v7")
    assert read_platform(empty_config("arm", "linux", "v7")) == arm
    assert json.loads(empty_config("amd64", "windows"))["config"]["Env"] == [
        r"PATH=c:\Windows\System32;c:\Windows"
    ]


@pytest.mark.parametrize(("architecture", "os"), [("", "linux"), ("amd64", "")])
def test_an_empty_config_is_for_something(architecture: str, os: str) -> None:
    with pytest.raises(InvalidInputError, match="needs an architecture and an os"):
        empty_config(architecture, os)


def test_an_empty_config_becomes_that_of_an_image() -> None:
    made = layer(description="COPY <a> b", created=NOON)
    config = complete_config(empty_config("amd64"), [made])
    assert read_diff_ids(config) == (made.digest,)
    assert json.loads(config)["created"] == NOON
    assert parse_history(config) == (
        HistoryEntry(
            created=Timestamp.parse(NOON),
            created_by="COPY <a> b",
            comment="buildkit.exporter.image.v0",
        ),
    )


def test_a_layer_that_tells_nothing_was_created_by_buildkit() -> None:
    assert normalise_history(None, [layer()]) == (
        HistoryEntry(created_by="created by buildkit", comment="buildkit.exporter.image.v0"),
    )


def test_entries_without_layers_become_empty_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    entries = [HistoryEntry(created_by=name, empty_layer=name == "b") for name in "abcd"]
    with caplog.at_level(logging.WARNING):
        found = normalise_history(entries, [layer()])
    assert [entry.empty_layer for entry in found or ()] == [False, True, True, True]
    assert caplog.messages == [
        "the history tells of 3 layers, the image has 1: the last entries count as empty"
    ]


def test_a_layer_whose_time_is_none_is_named() -> None:
    bad = layer(created="yesterday")
    with pytest.raises(WireFormat, match="not a time: 'yesterday'") as caught:
        normalise_history((), [bad])
    assert caught.value.path == f"{bad.digest}.annotations['{CREATED_AT}']"


def test_every_field_of_an_entry_is_read_and_written() -> None:
    text = (
        '{"created":"2026-11-22T12:00:00+01:00","created_by":"<x>","author":"a","comment":"c",'
        '"empty_layer":true}'
    )
    (entry,) = parse_history(b'{"History":[%s]}' % text.encode()) or ()
    assert entry.encode() == text.replace("<x>", r"\u003cx\u003e")
    assert parse_history(b'{"history":null}') is parse_history(b"{}") is None
    assert parse_history(b'{"history":[]}') == ()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (b"[]", "wants an object"),
        (b'{"history":{}}', "wants an array, has an object at history"),
        (b'{"history":[{},{"created":"x"}]}', r"not a time: 'x'.* at history\[1\].created"),
        (b'{"history":[{"created":3}]}', r"wants a string, has the number 3 at history\[0\]"),
        (b'{"history":[{"empty_layer":"yes"}]}', "wants a boolean"),
    ],
)
def test_what_is_no_history(config: bytes, words: str) -> None:
    with pytest.raises(WireFormat, match=words):
        parse_history(config)


def test_the_diff_id_of_a_layer() -> None:
    plain = layer()
    assert diff_id_of(plain) == plain.digest
    told = layer(b"x", OCI_LAYER_GZIP, diff_id=plain.digest)
    assert diff_id_of(told) == plain.digest
    with pytest.raises(InvalidInputError, match="does not tell its diff ID"):
        diff_id_of(layer(b"x", OCI_LAYER_GZIP))


def test_an_inline_cache_is_added_and_stays() -> None:
    with_cache = patch_config(b"{}", diff_ids=(), history=None, inline_cache=b"[]")
    assert json.loads(with_cache)[KEY] == "W10="
    assert patch_config(with_cache, diff_ids=(), history=None) == with_cache
    other = patch_config(with_cache, diff_ids=(), history=None, inline_cache=b"[1]")
    assert json.loads(other)[KEY] == "WzFd"


def test_values_keep_bytes_that_are_no_text_and_keys_do_not() -> None:
    raw = b'{"a\xff" : "\xff\xe2\x80\xa8" , "n":' + b"1" * 5000 + b"}"
    found = patch_config(raw, diff_ids=(), history=None)
    assert b'"a\xef\xbf\xbd":"\xff\\u2028"' in found
    assert b'"n":' + b"1" * 5000 in found


@pytest.mark.parametrize(
    "config", [b"", b"null", b"[]", b'"x"', b'{"a":NaN}', b'{"a":1}x', b'{"a":"\n"}', b"[" * 10**6]
)
def test_what_is_no_config(config: bytes) -> None:
    with pytest.raises(WireFormat, match=r"not JSON|wants an object"):
        patch_config(config, diff_ids=(), history=None)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(config=st.dictionaries(st.text(), JSON), indent=st.none() | st.integers(0, 3))
def test_every_unknown_key_is_kept(config: dict[str, object], indent: int | None) -> None:
    raw = json.dumps(config, indent=indent).encode()
    wanted = {"created": None, **config, "history": None}
    wanted["rootfs"] = {"type": "layers", "diff_ids": None}
    once = patch_config(raw, diff_ids=(), history=None)
    assert list(json.loads(once)) == sorted(wanted)
    assert patched(raw) == wanted
    assert patch_config(once, diff_ids=(), history=None) == once
