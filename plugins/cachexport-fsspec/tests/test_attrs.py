"""Attributes, URLs and paths."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest
from cachexport_fsspec.attrs import FsspecExport
from cachexport_fsspec.backend import backend
from cachexport_fsspec.paths import beside, folder_of, key_of, path_of, unfinished
from cachexport_fsspec.url import shown

from cachexport.errors import InvalidAttr, MissingExtra
from cachexport.plugin import Spec, read_attributes

URL = "memory://team"


def read(**attrs: str) -> FsspecExport:
    return read_attributes(FsspecExport, Spec("fsspec", {"url": URL, **attrs}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text", "text"),
        ("", ""),
        ("0123", "0123"),
        ("true", True),
        ("false", False),
        ("null", None),
        ('{"a": [1]}', {"a": [1]}),
        ("[1]", [1]),
        ('"true"', "true"),
    ],
)
def test_options_are_text_or_json(text: str, value: object) -> None:
    assert read(**{"option.some.name": text}).options == {"some.name": value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "bucket/prefix"),
        ("url", "/var/cache"),
        ("url", ""),
        ("url", "simplecache::gs://bucket"),
        ("option.x", "{no"),
        ("name", ""),
        ("name", "a//b"),
        ("name", "/a"),
        ("name", "a/"),
        ("parallelism", "0"),
        ("retries", "many"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidAttr) as raised:
        backend.target(Spec("fsspec", {"url": URL, name: value}))
    assert raised.value.name == name


def test_a_url_is_wanted() -> None:
    with pytest.raises(InvalidAttr, match="url="):
        backend.source(Spec("fsspec", {}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("gs://bucket/team/", "gs://bucket/team"),
        ("file:///var/cache", "file:///var/cache"),
        ("sftp://me:s3cret@host:22/a", "sftp://host:22/a"),
        ("sftp://me:s3/cret@host/a", "sftp://host/a"),
        ("sftp://me:s3/c@ret@host/a", "sftp://host/a"),
        ("sftp://me:s3?cret@host/a", "sftp://host/a"),
        ("sftp://me:s3#cret@host/a", "sftp://host/a"),
        ("sftp://me@host:22/a@b", "sftp://host:22/a@b"),
        ("sftp://host:22/a@b", "sftp://host:22/a@b"),
        ("hf://buckets/me/a@b", "hf://buckets/me/a@b"),
        ("file:///var/a@b:c@d", "file:///var/a@b:c@d"),
        ("https://host/a?token=s3cret", "https://host/a"),
        ("webdav://host/a#s3cret", "webdav://host/a"),
    ],
)
def test_a_url_is_shown_without_logins(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert "s3cret" not in backend.place(Spec("fsspec", {"url": url})).title


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(MissingExtra, match="adlfs"):
        backend.place(Spec("fsspec", {"url": "abfs://box"})).entries()
    with pytest.raises(MissingExtra, match="nothing://box"):
        backend.place(Spec("fsspec", {"url": "nothing://box"})).entries()


KEYS = [
    "x",
    *("/".join(parts) for n in (2, 3, 4) for parts in product(["a", "a%", ".", ".."], repeat=n)),
    *("blobs/sha256:00ff", "manifests/ü x", "manifests/a*[b]?", "manifests/a%2Fb", "in/\n"),
]


def test_each_key_has_a_path_of_its_own() -> None:
    paths = {path_of(key): key for key in KEYS}
    assert len(paths) == len(set(KEYS))
    for path, key in paths.items():
        assert key_of(path) == key
        # None is a folder of another one, leads out, or looks like what is not whole.
        assert not any(other.startswith(f"{path}/") for other in paths)
        assert not any(part.startswith(".") for part in path.split("/"))
        assert path.startswith(folder_of(key))


def test_what_is_ours_beside_a_file_is_no_key() -> None:
    for path in ("x", "manifests/main", "manifests/pr%/1"):
        for other in (beside(path), unfinished(path)):
            assert key_of(other) is None
            assert other.rpartition("/")[0] == path.rpartition("/")[0]
    assert [key_of(other) for other in ("a/b/c", "a/%zz", "a/%61")] == [None, None, None]


def test_nothing_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, cachexport_fsspec; from cachexport.plugin import Spec;"
        "cachexport_fsspec.backend.source(Spec('fsspec', {'url': 'gs://b'}));"
        "print(*({'fsspec', 'gcsfs', 'asyncssh', 'aiohttp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
