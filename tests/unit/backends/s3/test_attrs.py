"""The attributes of `type=s3`."""

from __future__ import annotations

import pytest

from cachexport.backends.s3.attrs import S3Export, S3Import
from cachexport.backends.s3.backend import S3Backend
from cachexport.contract.attributes import known_attributes, read_attributes
from cachexport.contract.spec import Spec, parse_spec
from cachexport.contract.units import duration, names, size
from cachexport.errors import InvalidAttr

BUILDKITS = {
    "bucket",
    "region",
    "prefix",
    "blobs_prefix",
    "manifests_prefix",
    "name",
    "endpoint_url",
    "use_path_style",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "touch_refresh",
    "upload_parallelism",
    "retry_mode",
    "retry_max_attempts",
    "disable_accept_encoding",
    "mode",
    "ignore-error",
}


def test_all_of_buildkits_are_known():
    assert set(known_attributes(S3Export)) >= BUILDKITS


def test_what_is_not_given_is_as_in_buildkit():
    attrs = read_attributes(S3Export, parse_spec("type=s3,bucket=b,region=r"))
    assert (attrs.blobs_prefix, attrs.manifests_prefix, attrs.name) == (
        "blobs/",
        "manifests/",
        ("buildkit",),
    )
    assert (attrs.touch_refresh, attrs.upload_parallelism) == (24 * 3600, 4)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("access_key_id=a", "access_key_id"),
        ("secret_access_key=a", "access_key_id"),
        ("anonymous=true,access_key_id=a,secret_access_key=b", "anonymous"),
        ("touch_refresh=1", "touch_refresh"),
        ("touch_refresh=1d", "touch_refresh"),
        ("part_size=1MiB", "part_size"),
        ("retry_mode=legacy", "retry_mode"),
        ("upload_parallelism=0", "upload_parallelism"),
        ("name=", "name"),
        ("tags=a", "tags"),
        ("bucket=", "bucket"),
        ("endpoint_url=localhost:9000", "endpoint_url"),
        ("oci-mediatypes=false,image-manifest=true", "image-manifest"),
    ],
)
def test_a_bad_value_is_named(given, name):
    with pytest.raises(InvalidAttr) as raised:
        read_attributes(S3Export, parse_spec(f"type=s3,bucket=b,{given}"))
    assert raised.value.name == name


def test_no_secret_is_shown():
    spec = parse_spec("type=s3,bucket=b,access_key_id=a,secret_access_key=SECRET,session_token=S2")
    assert "SECRET" not in str(spec)
    assert "S2" not in str(spec)


def test_each_name_is_a_target_of_its_own():
    spec = parse_spec("type=s3,bucket=b,name=a;b;a,mode=max")
    parts = S3Backend({}).split(spec)
    assert [part.attrs["name"] for part in parts] == ["a", "b"]
    assert all(part.attrs["mode"] == "max" for part in parts)
    bare = parse_spec("type=s3,bucket=b")
    assert S3Backend({}).split(bare) == (bare,)


def test_one_string_fits_both_flags():
    text = "type=s3,bucket=b,mode=max,touch_refresh=1h,tags=a=b"
    spec = parse_spec(text)
    attrs = read_attributes(S3Import, spec, ignored=known_attributes(S3Export))
    assert attrs.bucket == "b"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("24h", 86400), ("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3), ("0", 0), ("2us", 2e-6)],
)
def test_durations_are_gos(text, seconds):
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1d", "1h ", "-1h", "1h-2m"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("8MiB", 8 << 20), ("8M", 8_000_000), ("1kb", 1000), ("2GiB", 2 << 30), ("7B", 7)],
)
def test_sizes(text, number):
    assert size(text) == number


def test_names():
    assert names("a;b;;a") == ("a", "b")
    with pytest.raises(ValueError, match="wants a name"):
        names(";")


@pytest.mark.parametrize("name", ["name", "prefix", "blobs_prefix", "manifests_prefix"])
def test_keys_have_to_be_text(name: str) -> None:
    spec = Spec("s3", {"bucket": "b", name: "a\udcff"})
    with pytest.raises(InvalidAttr, match=f"{name}: wants valid UTF-8"):
        read_attributes(S3Export, spec)
