"""The login of a gateway among those that a user has."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from cachexport.errors import InvalidInputError
from cachexport.gateway.run.configs import GatewayLogin, for_containers, for_docker

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1:4711"
LOGIN = GatewayLogin(host=HOST, token="sesame")
OURS = {HOST: {"auth": base64.b64encode(b"cachexport:sesame").decode()}}
THEIRS = {"registry.example": {"auth": "eDp5"}}
BUILD = ("docker", "build", ".")


def write(path: Path, **config: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    return made


def docker(home: Path, folder: Path, *words: str, **env: str) -> tuple[Any, Path]:
    """Give the config.json that docker is to read, and the folder that it is in."""
    left, told = for_docker(LOGIN, words or BUILD, {"HOME": str(home), **env}, folder)
    assert left == BUILD
    config = folder / "docker" / "config.json"
    assert told["DOCKER_CONFIG"] == str(config.parent)
    assert config.stat().st_mode & 0o777 == 0o600
    return json.loads(config.read_text()), config.parent


def test_a_user_without_anything(home: Path, folder: Path) -> None:
    config, where = docker(home, folder)
    assert config == {"auths": OURS}
    assert [path.name for path in where.iterdir()] == ["config.json"]
    assert not home.exists()


def test_all_else_of_a_user_is_there(home: Path, folder: Path) -> None:
    theirs = write(home / ".docker/config.json", auths=THEIRS, currentContext="far", other=[1])
    before = theirs.read_bytes()
    write(home / ".docker/buildx/instances/x")
    write(home / ".docker/contexts/meta/y")
    config, where = docker(home, folder)
    assert config == {"auths": {**THEIRS, **OURS}, "currentContext": "far", "other": [1]}
    assert (where / "contexts/meta/y").exists()
    (where / "buildx/current").write_text("x")
    assert (home / ".docker/buildx/current").read_text() == "x"
    assert theirs.read_bytes() == before


def test_a_store_of_logins_is_not_asked_for_ours(home: Path, folder: Path) -> None:
    helpers = {"registry.example": "pass"}
    write(home / ".docker/config.json", credsStore="desktop", credHelpers=helpers)
    config, _ = docker(home, folder)
    assert config["credsStore"] == "desktop"
    assert config["credHelpers"] == {**helpers, HOST: ""}


@pytest.mark.parametrize("named", ["variable", "option", "option="])
def test_another_folder(home: Path, folder: Path, tmp_path: Path, named: str) -> None:
    write(home / ".docker/config.json", auths={"x": {}})
    theirs = write(tmp_path / "other/config.json", auths=THEIRS).parent
    words, env = BUILD, {}
    if named == "variable":
        env = {"DOCKER_CONFIG": str(theirs)}
    else:
        option = (f"--config={theirs}",) if named == "option=" else ("--config", str(theirs))
        words = ("docker", *option, "build", ".")
    config, _ = docker(home, folder, *words, **env)
    assert config["auths"] == {**THEIRS, **OURS}


def test_what_buildx_keeps_is_kept_where_it_was(home: Path, folder: Path) -> None:
    _, told = for_docker(LOGIN, BUILD, {"HOME": str(home)}, folder)
    assert told["BUILDX_CONFIG"] == str(home / ".docker/buildx")


def test_what_buildx_keeps_is_kept_where_the_user_says(home: Path, folder: Path) -> None:
    env = {"HOME": str(home), "BUILDX_CONFIG": "/elsewhere"}
    assert for_docker(LOGIN, BUILD, env, folder)[1]["BUILDX_CONFIG"] == "/elsewhere"


@pytest.mark.parametrize("raw", ["{", "[]", '"x"', "\x80"])
def test_logins_that_cannot_be_read(home: Path, folder: Path, raw: str) -> None:
    path = write(home / ".docker/config.json")
    path.write_text(raw, encoding="latin-1")
    for write_login in (for_docker, for_containers):
        with pytest.raises(InvalidInputError, match=f"cannot read the logins in {path}"):
            write_login(LOGIN, BUILD, {"HOME": str(home)}, folder)


def containers(home: Path, folder: Path, *words: str, **env: str) -> Any:
    """Give the logins that buildah is to read."""
    left, told = for_containers(LOGIN, words or BUILD, {"HOME": str(home), **env}, folder)
    assert (left, told) == (BUILD, {"REGISTRY_AUTH_FILE": str(folder / "auth.json")})
    assert (folder / "auth.json").stat().st_mode & 0o777 == 0o600
    return json.loads((folder / "auth.json").read_text())


def test_the_first_file_that_knows_a_registry_counts(home: Path, folder: Path) -> None:
    write(home / "run/containers/auth.json", auths={"a": {"auth": "1"}})
    write(home / "config/containers/auth.json", auths={"b": {"auth": "2"}}, credHelpers={"a": "x"})
    write(home / ".docker/config.json", auths={"b": {}, "c": {"auth": "3"}}, credsStore="desktop")
    env = {"XDG_RUNTIME_DIR": str(home / "run"), "XDG_CONFIG_HOME": str(home / "config")}
    config = containers(home, folder, **env)
    auths = {"a": {"auth": "1"}, "b": {"auth": "2"}, "c": {"auth": "3"}, **OURS}
    assert config == {"auths": auths, "credHelpers": {}}


@pytest.mark.parametrize("named", ["variable", "option", "option="])
def test_a_file_that_is_named_is_the_only_one(
    home: Path, folder: Path, tmp_path: Path, named: str
) -> None:
    write(home / ".docker/config.json", auths={"x": {}})
    theirs = write(tmp_path / "auth.json", auths=THEIRS, credHelpers={"y": "pass"})
    words, env = BUILD, {}
    if named == "variable":
        env = {"REGISTRY_AUTH_FILE": str(theirs)}
    else:
        option = (f"--authfile={theirs}",) if named == "option=" else ("--authfile", str(theirs))
        words = ("docker", "build", *option, ".")
    config = containers(home, folder, *words, **env)
    assert config == {"auths": {**THEIRS, **OURS}, "credHelpers": {"y": "pass"}}
