"""What an image's config says about running it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cachexport.errors import InvalidInputError, WireFormat
from cachexport.images import Settings, change_settings, empty_config
from cachexport.images.config.settings import working_dir


def changed(found: Any, **settings: Any) -> Any:
    raw = json.dumps({"config": found}).encode()
    return json.loads(change_settings(raw, Settings(**settings)))["config"]


def test_what_is_said_replaces_what_was_there() -> None:
    found = {"Entrypoint": ["/old"], "Cmd": ["x"], "User": "root", "Unknown": 1}
    assert changed(found, entrypoint=["/new"], user="1000", working_dir="/app") == {
        "Entrypoint": ["/new"],
        "Unknown": 1,
        "User": "1000",
        "WorkingDir": "/app",
    }
    assert changed(found, entrypoint=["/new"], cmd=["y"])["Cmd"] == ["y"]
    assert changed(found, cmd=["y"])["Entrypoint"] == ["/old"]
    assert changed(found, cmd=[], user="") == {"Entrypoint": ["/old"], "Unknown": 1}
    assert changed(found) == found


def test_variables_keep_their_order_and_others_add_up() -> None:
    found = {"Env": ["B=1", "A=2", "EMPTY"], "Labels": {"x": "1"}, "ExposedPorts": {"80/tcp": {}}}
    made = changed(
        found,
        env={"C": "3", "A": "a=b"},
        labels={"y": "ü"},
        exposed_ports=["53/udp", "443"],
        volumes=["/data"],
    )
    assert made == {
        "Env": ["B=1", "A=a=b", "EMPTY", "C=3"],
        "Labels": {"x": "1", "y": "ü"},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "443/tcp": {}},
        "Volumes": {"/data": {}},
    }


def test_what_is_not_known_keeps_its_spelling() -> None:
    raw = b'{"z": 1.50, "config": {"Other": {"n": 1e2}, "Labels": {"a": "1"}}, "a": null}'
    made = change_settings(raw, Settings(labels={"b": "<2>"}))
    assert made == (
        b'{"a":null,"config":{"Labels":{"a":"1","b":"\\u003c2\\u003e"},"Other":{"n":1e2}},"z":1.50}'
    )


@pytest.mark.parametrize("config", [b"{}", b'{"config":null}', empty_config("amd64")])
def test_any_config_can_be_changed(config: bytes) -> None:
    made = change_settings(config, Settings(cmd=["/bin/sh"]))
    assert json.loads(made)["config"]["Cmd"] == ["/bin/sh"]
    assert change_settings(made, Settings()) == made


def test_the_working_directory_is_the_root_unless_said() -> None:
    assert working_dir(b"{}") == working_dir(empty_config("amd64")) == "/"
    assert working_dir(b'{"config":{"WorkingDir":"/app"}}') == "/app"


def test_a_line_tells_the_changes() -> None:
    settings = Settings(entrypoint=["/app", "-v"], env={"A": "1"}, user="")
    assert str(settings) == 'entrypoint=["/app", "-v"] env={"A": "1"} user=""'


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"cmd is a list, as in cmd=\['/bin/app', '-v'\]"):
        Settings(cmd="/bin/sh")
    with pytest.raises(InvalidInputError, match="'A=B' is no name of a variable"):
        Settings(env={"A=B": "1"})
    with pytest.raises(WireFormat, match="config"):
        change_settings(b'{"config":[]}', Settings(user="1"))
    with pytest.raises(WireFormat, match=r"config\.?Env"):
        change_settings(b'{"config":{"Env":[1]}}', Settings(env={"A": "1"}))
