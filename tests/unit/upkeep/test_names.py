"""Which names are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport import copy_names, export_cache, list_names, load_cache, remove_names, verify_names
from cachexport.errors import NotFound
from cachexport.testing.samples import layer, small_chains

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"a1": 1, "a[1]": 2, "*": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, number in NAMES.items():
        assert export_cache(small_chains(number), f"type=local,dest={tmp_path},tag={name}")
    return tmp_path


def blobs(folder: Path, name: str) -> list[str]:
    found = load_cache(f"type=local,src={folder},tag={name}")
    return [one.blob for cache in found for one in cache.config.layers]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_a_pattern_means_itself(folder: Path, name: str) -> None:
    assert blobs(folder, name) == [layer(NAMES[name])[1].digest]
    assert remove_names(f"type=local,src={folder},tag={name}") == [name]
    assert {item.name for item in list_names(f"type=local,src={folder}")} == NAMES.keys() - {name}


def test_where_no_such_name_is_the_pattern_counts(folder: Path) -> None:
    assert len(blobs(folder, "a?")) == 1
    assert {item.name for item in verify_names(f"type=local,src={folder}", "*")} == set(NAMES)
    with pytest.raises(NotFound, match=r"no name 'b\*'"):
        verify_names(f"type=local,src={folder}", "b*")


def test_each_is_copied_under_its_own_name(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy_names(f"type=local,src={folder}", f"type=local,dest={copy}")
    assert {name: blobs(copy, name) for name in NAMES} == {
        name: [layer(number)[1].digest] for name, number in NAMES.items()
    }
