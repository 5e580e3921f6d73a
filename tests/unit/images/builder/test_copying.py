"""Layers of files of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from unit.images.builder.rig import entries, named

from cachexport.content.memory import MemoryContent
from cachexport.errors import FailedPrecondition, InvalidInputError, NotFound
from cachexport.images.builder import Copying, Policy, copy_layer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    place = tmp_path / "src"
    (place / "lib").mkdir(parents=True)
    (place / "lib" / "a.py").write_text("a")
    (place / "lib" / "a.pyc").write_text("compiled")
    (place / "main.py").write_text("main")
    (place / "link").symlink_to("main.py")
    (place / "empty").mkdir()
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def copied(source: Path, destination: str, *exclude: str) -> list[str]:
    content = MemoryContent()
    copying = Copying(source=source, destination=destination, exclude=exclude)
    return named(content, copy_layer(content, copying))


def test_what_is_in_a_directory_gets_into_the_destination(source: Path) -> None:
    inside = ["empty", "lib", "lib/a.py", "lib/a.pyc", "link", "main.py"]
    assert copied(source, "/") == inside
    assert (
        copied(source, "/srv/app")
        == copied(source, "srv/app/")
        == [f"srv/app/{name}" for name in inside]
    )


def test_an_empty_directory_is_made(source: Path) -> None:
    assert copied(source / "empty", "/data") == ["data"]


@pytest.mark.parametrize(
    ("destination", "name"),
    [("/", "main.py"), (".", "main.py"), ("bin/", "bin/main.py"), ("bin/run", "bin/run")],
)
def test_a_file_gets_a_name_or_keeps_its_own(source: Path, destination: str, name: str) -> None:
    assert copied(source / "main.py", destination) == [name]


def test_a_link_as_the_source_is_followed_and_keeps_its_name(source: Path) -> None:
    content = MemoryContent()
    copying = Copying(source=source / "link", destination="bin/")
    [entry] = entries(content, copy_layer(content, copying))
    assert (entry.name, entry.size) == ("bin/link", 4)


def test_patterns_are_those_of_a_dockerignore(source: Path) -> None:
    assert copied(source, "/", "**/*.pyc", "empty") == ["lib", "lib/a.py", "link", "main.py"]
    # A pattern stands for paths from the top, and a later one with ! takes back.
    assert copied(source, "/", "a.py", "lib", "!lib/a.py", "e*") == [
        "lib",
        "lib/a.py",
        "link",
        "main.py",
    ]
    (source / ".dockerignore").write_text("")
    assert copied(source, "/x", "*") == ["x"]


def test_owners_and_times_of_this_machine_are_in_no_layer(source: Path) -> None:
    content, copying = MemoryContent(), Copying(source=source, destination="/")
    desc, digest = copy_layer(content, copying), copying.digest()
    assert {(e.mtime, e.uid, e.gid) for e in entries(content, desc)} == {(0, 0, 0)}
    os.utime(source / "main.py", (5, 5))
    assert copy_layer(content, copying) == desc
    assert copying.digest() == digest
    (source / "main.py").chmod(0o755)
    assert copying.digest() != digest


def test_a_policy_says_what_the_layer_says(source: Path) -> None:
    content, copying = MemoryContent(), Copying(source=source, destination="/")
    desc = copy_layer(content, copying, policy=Policy(mtime=7, owner=(1, 2)))
    assert {(e.mtime, e.uid, e.gid) for e in entries(content, desc)} == {(7, 1, 2)}


def test_hard_links_stay_links_below_the_destination(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    os.link(tmp_path / "a", tmp_path / "b")
    content = MemoryContent()
    copying = Copying(source=tmp_path, destination="/opt")
    found = entries(content, copy_layer(content, copying))
    assert [(e.name, e.linkname) for e in found] == [("opt/a", ""), ("opt/b", "opt/a")]
    assert copied(tmp_path, "/", "a") == ["b"]


def test_what_cannot_be_copied_is_an_error(source: Path) -> None:
    with pytest.raises(InvalidInputError, match="no path in an image: the path leads upwards"):
        copied(source, "/a/../../etc")
    with pytest.raises(NotFound):
        copied(source / "nothing", "/")
    (source / ".wh.x").touch()
    with pytest.raises(InvalidInputError, match=r"no layer can have the name '\.wh\.x'"):
        copied(source, "/")
    for marker in ("/.wh.y", "/a/.wh..wh..opq", ".wh.x/b"):
        with pytest.raises(InvalidInputError, match="that is a marker"):
            copied(source / "main.py", marker)
    (source / "loop").symlink_to("loop")
    with pytest.raises(FailedPrecondition, match="links lead in a circle"):
        copied(source / "loop", "/x")
