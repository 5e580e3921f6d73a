"""The names of the image side: imported when they are used, and found under their old ones."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import cachexport.images
import cachexport.images.store


def test_all_public_names_are_found() -> None:
    assert "select_image" in cachexport.images.__all__
    for name in cachexport.images.__all__:
        assert getattr(cachexport.images, name).__module__.startswith("cachexport.images.")


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        cachexport.images.nonsense  # noqa: B018


def test_a_store_imports_no_archives_and_no_registries() -> None:
    program = "import sys; from cachexport.images.store import Store; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    imported = done.stdout.decode().split()
    assert "cachexport.images.store.store" in imported
    heavy = ("cachexport.images.archive", "cachexport.images.builder", "cachexport.images.output")
    assert not [name for name in imported if name.startswith((*heavy, "tarfile", "zstandard"))]


@pytest.mark.parametrize(
    ("old", "now", "name"),
    [
        ("cachexport.image", "cachexport.images", "complete_config"),
        ("cachexport.store", "cachexport.images.store", "Store"),
        ("cachexport.builder", "cachexport.images.builder", "Snapshots"),
        ("cachexport.builder.classic", "cachexport.images.builder.classic", "ClassicBuilder"),
    ],
)
def test_the_old_name_of_a_module_warns(old: str, now: str, name: str) -> None:
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=f"{old} is called {now} now") as warned:
        found = getattr(module, name)
    assert found is getattr(importlib.import_module(now), name)
    assert [each.filename for each in warned] == [__file__]


def test_the_old_name_of_a_module_has_nothing_else() -> None:
    module = importlib.import_module("cachexport.store")
    with (
        pytest.warns(DeprecationWarning, match="images.store"),
        pytest.raises(AttributeError, match="nonsense"),
    ):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize(("old", "now"), [("Contents", "StoreContent"), ("Image", "NamedImage")])
def test_the_old_name_of_a_class_of_the_store_warns(old: str, now: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"store.{old} is called .*store.{now} now"):
        assert getattr(cachexport.images.store, old) is getattr(cachexport.images.store, now)
