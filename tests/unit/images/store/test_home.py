"""Where a user's own store is."""

from __future__ import annotations

from pathlib import Path

from cachexport.images.store.home import home_store


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
