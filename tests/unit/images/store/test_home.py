"""Where a user's own store is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cachexport.errors import FailedPrecondition
from cachexport.images.store.store import home_store


def test_the_variable_says_where_the_store_is() -> None:
    env = {"CACHEXPORT_STORE": "here", "XDG_DATA_HOME": "/data", "HOME": "/home/a"}
    assert home_store(env) == Path("here")


def test_else_it_is_with_the_users_data() -> None:
    env = {"CACHEXPORT_STORE": "", "XDG_DATA_HOME": "/data", "HOME": "/home/a"}
    assert home_store(env) == Path("/data/cachexport/store")
    for wrong in ("", "data"):
        env["XDG_DATA_HOME"] = wrong
        assert home_store(env) == Path("/home/a/.local/share/cachexport/store")
    assert home_store({}).name == "store"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 1 << 30)  # as in a container that is given any number
    with pytest.raises(FailedPrecondition, match=r"set \$CACHEXPORT_STORE"):
        home_store({})
    assert home_store({"XDG_DATA_HOME": "/data"}) == Path("/data/cachexport/store")
