"""Attributes and variables of the environment, as BuildKit has them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cachexport_azblob.attrs import AzblobExport
from cachexport_azblob.backend import AzblobBackend

from cachexport.errors import InvalidAttr
from cachexport.plugin import ObjectSource, ObjectTarget, Spec

URL = "https://mine.blob.core.windows.net"
KEY = "c2VjcmV0"


def keys(env: dict[str, str] | None = None, **attrs: str) -> tuple[str, str]:
    given = Spec("azblob", {"account_url": URL, "secret_access_key": KEY, **attrs})
    place = AzblobBackend(env or {}).place(given)
    return place.content.keys.blobs, place.content.keys.names


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({}, ("blobs/", "manifests/")),
        ({"prefix": "team"}, ("team/blobs/", "team/manifests/")),
        ({"prefix": "team/"}, ("team/blobs/", "team/manifests/")),
        ({"prefix": "a//b/./c/../d/"}, ("a/b/d/blobs/", "a/b/d/manifests/")),
        ({"prefix": "/a"}, ("/a/blobs/", "/a/manifests/")),
        ({"prefix": "//a"}, ("/a/blobs/", "/a/manifests/")),
        ({"blobs_prefix": "", "manifests_prefix": "names/"}, ("", "names/")),
        ({"prefix": "p", "blobs_prefix": ""}, ("p/", "p/manifests/")),
        ({"prefix": "p", "blobs_prefix": "../b"}, ("b/", "p/manifests/")),
    ],
)
def test_keys_are_joined_as_paths(attrs: dict[str, str], expected: tuple[str, str]) -> None:
    if attrs.get("blobs_prefix") == "../b":
        with pytest.raises(InvalidAttr, match="lead out"):
            keys(**attrs)
    else:
        assert keys(**attrs) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [("a;b;a", ("a", "b")), ("x//y/", ("x/y",)), ("/a", ("a",)), ("v1.2_3", ("v1.2_3",))],
)
def test_names_are_cleaned(text: str, names: tuple[str, ...]) -> None:
    from cachexport.plugin import read_attributes

    assert read_attributes(AzblobExport, Spec("azblob", {"name": text})).name == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", ".."),
        ("name", "../x"),
        ("prefix", "../x"),
        ("account_url", "mine.blob.core.windows.net"),
        ("account_url", "ftp://mine"),
        ("container", "Big"),
        ("container", "a--b"),
        ("part_size", "5GB"),
        ("part_size", "0"),
        ("upload_parallelism", "0"),
        ("retry_max_attempts", "many"),
        ("touch_refresh", "1 day"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    given = Spec("azblob", {"account_url": URL, "secret_access_key": KEY, name: value})
    with pytest.raises(InvalidAttr) as raised:
        AzblobBackend({}).target(given)
    assert raised.value.name == name


def test_the_environment_says_what_nothing_else_does() -> None:
    prefix = "BUILDKIT_AZURE_STORAGE_"
    env = {
        f"{prefix}ACCOUNT_URL": "https://env.blob.core.windows.net",
        f"{prefix}CONTAINER": "env-box",
        f"{prefix}PREFIX": "env/prefix",
    }
    backend = AzblobBackend(env)
    place = backend.place(Spec("azblob", {}))
    assert place.title == "azblob://env.blob.core.windows.net/env-box/env/prefix/manifests/"
    place = backend.place(Spec("azblob", {"account_url": URL, "container": "box", "prefix": ""}))
    assert place.title == "azblob://mine.blob.core.windows.net/box/manifests/"
    with pytest.raises(InvalidAttr, match="BUILDKIT_AZURE_STORAGE_ACCOUNT_URL"):
        AzblobBackend({}).source(Spec("azblob", {}))
    assert (
        AzblobBackend({f"{prefix}CONTAINER": ""}).place(Spec("azblob", {"account_url": URL})).title
        == "azblob://mine.blob.core.windows.net/buildkit-cache/manifests/"
    )


def test_the_account_is_the_hosts_first_label() -> None:
    from cachexport_azblob.connect import checked

    assert checked(AzblobExport(account_url=URL)).account_name == "mine"
    assert checked(AzblobExport(account_url=URL, account_name="x")).account_name == "x"


def test_without_a_key_an_account_is_asked_over_https() -> None:
    given = Spec("azblob", {"account_url": "http://mine.example"})
    with pytest.raises(InvalidAttr, match="over https only"):
        AzblobBackend({}).source(given)


def test_a_key_that_is_none_is_not_told() -> None:
    given = Spec("azblob", {"account_url": URL, "secret_access_key": "no base64!"})
    with pytest.raises(InvalidAttr, match="no key of an account") as raised:
        AzblobBackend({}).target(given)
    assert "no base64!" not in str(raised.value)
    secret = Spec("azblob", {"account_url": URL, "secret_access_key": KEY})
    assert KEY not in str(secret)


def test_several_names_are_several_targets_and_one_source() -> None:
    backend = AzblobBackend({})
    given = Spec("azblob", {"account_url": URL, "secret_access_key": KEY, "name": "a;b"})
    assert [each.attrs["name"] for each in backend.split(given)] == ["a", "b"]
    assert backend.name(given) == "a"
    assert backend.name(Spec("azblob", {"digest": "x"})) is None
    assert isinstance(backend.source(given), ObjectSource)
    assert isinstance(backend.target(given), ObjectTarget)


def test_the_sdk_is_imported_when_it_is_used() -> None:
    code = "import sys, cachexport_azblob; print(*(m for m in sys.modules if m[:5] == 'azure'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("", "azure")  # a .pth file of the namespace may bring that
