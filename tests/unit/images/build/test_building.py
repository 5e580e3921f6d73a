"""Builds as programs begin them: places by specification, and what happens around the steps."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

import cachexport
from cachexport.errors import InvalidAttr, InvalidInputError, InvalidReference, NotFound
from cachexport.images import open_docker_archive, read_config, select_image
from cachexport.images.store import Store
from cachexport.images.store.store import VARIABLE

DEFAULTS = {"platform": "linux/amd64", "clock": lambda: 1_000_000.0}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))


def write(root: Path) -> None:
    (root / "made").write_text("x")


def simple(out: Path, **options: Any) -> list[bool]:
    with cachexport.build(**{**DEFAULTS, **options}) as build:
        build.layer(key="a", make=write)
        build.export(f"type=docker,dest={out},name=app:1")
    return [step.is_cached for step in build.steps]


def config_of(path: Path) -> Any:
    with open_docker_archive(path) as archive:
        [image] = archive.images
        return json.loads(read_config(archive, select_image(archive, image.descriptor)))


def test_a_second_build_takes_its_layers_from_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = {"cache_from": [f"type=local,src={tmp_path}/c"]}
    cache["cache_to"] = [f"type=local,dest={tmp_path}/c"]
    assert simple(tmp_path / "1.tar", **cache) == [False]
    [warning] = caplog.messages
    assert warning.startswith("building without the cache type=local,src=")
    assert simple(tmp_path / "2.tar", **cache) == [True]
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    assert len(caplog.messages) == 1


def test_the_cache_may_be_in_the_image(tmp_path: Path) -> None:
    assert simple(tmp_path / "app.tar", cache_to=["type=inline"]) == [False]
    found = json.loads(base64.b64decode(config_of(tmp_path / "app.tar")["moby.buildkit.cache.v0"]))
    assert len(found) == 1
    again = [f"type=local,src={tmp_path / 'app.tar'}"]
    assert simple(tmp_path / "again.tar", cache_from=again) == [True]


def test_what_the_exports_gave_is_told(tmp_path: Path) -> None:
    target = f"type=local,dest={tmp_path}/c"
    with cachexport.build(**DEFAULTS, cache_to=[target]) as build:
        build.layer(key="a", make=write)
        assert build.responses == {}
    assert list(build.responses) == [target]
    assert list(build.responses[target]) == ["cache.manifest"]


def test_no_cache_is_exported_when_the_block_raises(tmp_path: Path) -> None:
    target = f"type=local,dest={tmp_path}/c"
    with pytest.raises(ZeroDivisionError), cachexport.build(**DEFAULTS, cache_to=[target]) as build:
        build.layer(key="a", make=write)
        raise ZeroDivisionError
    assert not (tmp_path / "c").exists()


def test_nothing_is_left_but_what_has_a_name(tmp_path: Path) -> None:
    with cachexport.build(**DEFAULTS) as build:
        build.layer(key="a", make=write)
        build.layer(key="b", make=lambda root: (root / "made").unlink())
        build.export("type=store,name=app:1")
    with Store.open(tmp_path / "store", clock=lambda: 1_000_000.0) as store:
        assert store.leases.list() == []
        store.collect_garbage()
        assert [image.name for image in store.images.list()] == ["docker.io/library/app:1"]
        assert len(store.content.list()) == 4
        store.images.delete("docker.io/library/app:1")
        store.collect_garbage()
        assert store.content.list() == []
    assert list((tmp_path / "store" / "snapshots").iterdir()) == []


def test_a_build_begins_with_an_image_of_the_store(tmp_path: Path) -> None:
    with cachexport.build(**DEFAULTS) as build:
        build.layer(key="a", make=write)
        build.config(entrypoint=["/made"])
        build.export("type=store,name=app:1")
    with cachexport.build("app:1", **DEFAULTS, pull="never") as build:
        assert len(build.layers) == 1
        assert json.loads(
            read_config(
                build.image().provider,
                select_image(build.image().provider, build.image().descriptor),
            )
        )["config"]["Entrypoint"] == ["/made"]
    with (
        pytest.raises(NotFound, match="no image for linux/arm64"),
        cachexport.build("app:1", **{**DEFAULTS, "platform": "linux/arm64"}, pull="never"),
    ):
        pass


def test_a_build_begins_with_an_archive(tmp_path: Path) -> None:
    simple(tmp_path / "base.tar")
    with cachexport.build(f"type=local,src={tmp_path}/base.tar", **DEFAULTS) as build:
        build.layer(
            key="b", make=lambda root: (root / "more").write_bytes((root / "made").read_bytes())
        )
        build.export(f"type=docker,dest={tmp_path}/app.tar")
    found = config_of(tmp_path / "app.tar")
    assert [entry["created_by"] for entry in found["history"]] == ["LAYER a", "LAYER b"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cache_to": "type=local,dest=x"}, InvalidInputError, "cache_to is a list"),
        ({"cache_to": ["type=local,dst=x"]}, InvalidAttr, "dst"),
        ({"platform": "amd 64"}, InvalidInputError, "is no platform"),
        ({"epoch": 1e30}, InvalidInputError, "epoch is a number of seconds"),
        ({"epoch": -1}, InvalidInputError, "epoch is a number of seconds"),
        ({"pull": "often"}, InvalidInputError, "pull is one of always, missing, never"),
        ({"base": "UPPER:x"}, InvalidReference, "UPPER"),
        ({"base": "app:1", "pull": "never"}, NotFound, "no image 'docker.io/library/app:1'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message), cachexport.build(**{**DEFAULTS, **options}):
        pytest.fail("the block ran")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be somebody else too")
def test_who_builds_makes_no_difference() -> None:
    """As root with overlays, as somebody else with copies and without giving owners."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        _build_all(folder / "root")
        child = multiprocessing.get_context("fork").Process(target=_as_nobody, args=[folder])
        child.start()
        child.join()
        assert child.exitcode == 0
        assert (folder / "root.tar").read_bytes() == (folder / "nobody.tar").read_bytes()


def _as_nobody(folder: Path) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    tempfile.tempdir = str(folder)
    _build_all(folder / "nobody")


def _build_all(place: Path) -> None:
    place.mkdir()
    (place / "src").mkdir()
    (place / "src" / "file").write_text("x")
    (place / "src" / "file").chmod(0o640)

    def change(root: Path) -> None:
        (root / "app" / "file").write_text("changed")
        (root / "app" / "secret").mkdir(mode=0o700)
        os.link(root / "app" / "file", root / "app" / "again")
        (root / "made").unlink()

    with cachexport.build(**DEFAULTS, store=place / "store") as build:
        build.layer(key="a", make=write)
        build.copy(place / "src", "/app")
        build.layer(key="b", make=change)
        build.layer(key="c", make=lambda root: (root / "app" / "again").write_text("twice"))
        build.export(f"type=docker,dest={place}.tar,name=app:1")


def test_a_cache_that_is_no_graph_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "c"
    simple(tmp_path / "1.tar", cache_to=[f"type=local,dest={cache}"])
    [index] = json.loads((cache / "index.json").read_bytes())["manifests"]
    blobs = cache / "blobs" / "sha256"
    manifest = json.loads((blobs / index["digest"][7:]).read_bytes())
    config = json.loads((blobs / manifest["config"]["digest"][7:]).read_bytes())
    config["layers"][0]["parent"] = 1
    config["layers"].append({**config["layers"][0], "parent": 0})
    raw = json.dumps(config).encode()
    _replace(blobs, manifest["config"], raw)
    _replace(blobs, index, json.dumps(manifest).encode())
    (cache / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    assert simple(tmp_path / "2.tar", cache_from=[f"type=local,src={cache}"]) == [False]
    assert "building without the cache" in caplog.messages[-1]


def _replace(blobs: Path, desc: dict[str, Any], raw: bytes) -> None:
    desc["digest"], desc["size"] = f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw)
    (blobs / desc["digest"][7:]).write_bytes(raw)
