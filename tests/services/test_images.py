"""Images from and to registries, and what Docker and skopeo make of those."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.images import MadeImage, make_image, make_index, tar_layer
from support.services.exports import MAX, hasten, noise, push

from cachexport import BuildResult, ImageExporter, Remote, append_image
from cachexport.api.images import image_puller, open_image, pull_image, push_image
from cachexport.content.verify import read_blob
from cachexport.errors import AlreadyExists, FailedPrecondition, NotFound
from cachexport.images import read_config, select_image
from cachexport.images.additions import Addition
from cachexport.images.image import OpenedImage
from cachexport.images.output import parse_output
from cachexport.images.store import Store
from cachexport.oci.descriptor import Platform
from cachexport.oci.reference import Reference
from cachexport.testing.services import environment, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.services.dockerd import Dockerd
    from support.services.registry import Registry
    from support.services.scripted import ScriptedRegistry

    from cachexport.content.protocols import Provider
    from cachexport.oci.descriptor import Descriptor

ARM = Platform(architecture="arm64", os="linux")
AMD = Platform(architecture="amd64", os="linux")
BLOB = r"/blobs/sha256"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", clock=time.time) as store:
        yield store


@pytest.fixture
def image(tool: Path) -> MadeImage:
    return make_image(tar_layer({"bin/tool": tool.read_bytes()}), tar_layer({"etc/x": b"x" * 3000}))


def send(provider: Provider, desc: Descriptor, to: str, **more: str) -> Descriptor:
    spec = ",".join([f"type=registry,ref={to}", *(f"{k}={v}" for k, v in more.items())])
    return push_image(OpenedImage(provider, desc, lambda: None), spec)


def test_what_is_pushed_is_pulled_to_the_byte(
    registry: Registry, repo: str, image: MadeImage, store: Store
) -> None:
    ref = f"{registry.host}/{repo}:1"
    pushed = send(image.content, image.descriptor, ref)
    pulled = pull_image(ref, store)
    assert (pulled.name, pulled.target.digest) == (ref, pushed.digest)
    store.collect_garbage()
    assert {read_blob(store.content, desc) for desc in (pulled.target, image.config, *image.layers)}
    assert sorted(info.digest for info in store.content.list()) == sorted(
        {d.digest for d in (image.descriptor, image.config, *image.layers)}
    )
    assert store.leases.list() == []


def test_an_index_is_pushed_and_pulled_as_a_whole_or_for_one_platform(
    registry: Registry, repo: str, image: MadeImage, store: Store
) -> None:
    other = make_image(tar_layer({"arm": b"64"}), platform=ARM)
    root, content = make_index(image, other)
    ref = f"{registry.host}/{repo}:multi"
    assert send(content, root, ref) == root
    whole = pull_image(ref, store)
    assert whole.target == root
    store.collect_garbage()
    for platform, wanted in ((AMD, image), (ARM, other)):
        found = select_image(store.content, whole.target, platform)
        assert found.config.digest == wanted.config.digest
        assert read_config(store.content, found)
    one = image_puller(store).pull(Reference.parse(ref), ARM, store.leases.create().id)
    assert one.target.digest == other.descriptor.digest
    assert store.images.get(ref) == one


def test_an_image_is_opened_without_its_layers(
    scripted: ScriptedRegistry, repo: str, image: MadeImage, store: Store
) -> None:
    ref = f"{scripted.host}/{repo}:1"
    send(image.content, image.descriptor, ref)
    scripted.requests.clear()
    with open_image(ref) as opened:
        found = select_image(opened.provider, opened.descriptor)
        assert read_config(opened.provider, found) == read_blob(image.content, image.config)
        asked = scripted.asked("GET", BLOB)
        assert [r.path.rpartition("/")[2] for r in asked] == [image.config.digest]
        assert read_blob(opened.provider, found.layers[0]) == image.blobs[0]


def test_what_the_store_has_is_not_fetched(
    scripted: ScriptedRegistry, repo: str, image: MadeImage, store: Store
) -> None:
    ref = f"{scripted.host}/{repo}:1"
    send(image.content, image.descriptor, ref)
    pull_image(ref, store)
    scripted.requests.clear()
    pull_image(ref, store, name="again")
    assert scripted.asked("GET", BLOB) == scripted.asked("GET", r"/manifests/") == []


def test_layers_that_came_from_the_registry_are_not_sent_there_again(
    scripted: ScriptedRegistry, repo: str, image: MadeImage, store: Store
) -> None:
    send(image.content, image.descriptor, f"{scripted.host}/{repo}/a:1")
    pulled = pull_image(f"{scripted.host}/{repo}/a:1", store)
    before = len(scripted.asked("PUT", r"/blobs/uploads/."))
    send(store.content, pulled.target, f"{scripted.host}/{repo}/b:1")
    with open_image(f"{scripted.host}/{repo}/a:1") as lazily:
        push_image(lazily, f"{scripted.host}/{repo}/c:1")
    assert len(scripted.asked("PUT", r"/blobs/uploads/.")) == before
    blobs = [scripted.store.repositories[f"{repo}/{name}"].blobs for name in "abc"]
    assert blobs[0] == blobs[1] == blobs[2]


def test_an_image_grows_in_the_registry_without_its_base_being_read(
    scripted: ScriptedRegistry, repo: str, image: MadeImage, tmp_path: Path
) -> None:
    base = f"{scripted.host}/{repo}/base:1"
    send(image.content, image.descriptor, base)
    (tmp_path / "x").write_text("x")
    scripted.requests.clear()
    with open_image(base) as opened:
        output = parse_output(f"type=registry,name={scripted.host}/{repo}/app:1")
        append_image(opened, [Addition.parse(f"{tmp_path / 'x'}:/x")], output)
    read = {r.path.rpartition("/")[2] for r in scripted.asked("GET", BLOB)}
    assert read == {image.config.digest}
    assert len(scripted.asked("PUT", r"/blobs/uploads/.")) == 2  # the new layer and config
    blobs = scripted.store.repositories[f"{repo}/app"].blobs
    assert {layer.digest for layer in image.layers} < set(blobs)


def test_a_build_cache_is_neither_pulled_nor_replaced(
    registry: Registry, repo: str, image: MadeImage, store: Store
) -> None:
    push(registry.host, repo, source=MAX)
    ref = f"{registry.host}/{repo}:cache"
    with pytest.raises(FailedPrecondition, match="not an image: the type of its config"):
        pull_image(ref, store)
    with pytest.raises(AlreadyExists, match="is a build cache; choose another tag, or replace it"):
        send(image.content, image.descriptor, ref)
    assert send(image.content, image.descriptor, ref, force="true")
    assert pull_image(ref, store).target.digest == image.descriptor.digest


def test_what_is_not_there_is_not_found(registry: Registry, repo: str, store: Store) -> None:
    with pytest.raises(NotFound):
        pull_image(f"{registry.host}/{repo}:1", store)
    assert (store.leases.list(), store.images.list()) == ([], [])


def test_a_layer_that_is_wrong_leaves_nothing(
    scripted: ScriptedRegistry, repo: str, image: MadeImage, store: Store
) -> None:
    ref = f"{scripted.host}/{repo}:1"
    send(image.content, image.descriptor, ref)
    blobs = scripted.store.repositories[repo].blobs
    digest = str(image.layers[1].digest)
    blobs[digest] = noise(len(blobs[digest]))
    with pytest.raises(Exception, match=f"blob {digest} is corrupt"):
        pull_image(ref, store)
    store.collect_garbage()
    assert (store.content.list(), store.images.list()) == ([], [])


def test_docker_pulls_and_runs_what_was_pushed(
    dockerd: Dockerd, registry: Registry, repo: str, image: MadeImage, tmp_path: Path
) -> None:
    ref = f"{registry.host}/{repo}:1"
    send(image.content, image.descriptor, ref)
    dockerd.run("pull", ref)
    (found,) = json.loads(dockerd.run("image", "inspect", ref))
    assert found["Id"] == image.config.digest
    dockerd.run("run", "--network=none", "--name=pulled", ref, "/bin/tool", "/made", "it ran")
    try:
        dockerd.run("cp", "pulled:/made", str(tmp_path / "made"))
    finally:
        dockerd.run("rm", "pulled")
    assert (tmp_path / "made").read_text() == "it ran\n"


def test_skopeo_reads_what_was_pushed(
    registry: Registry, repo: str, image: MadeImage, tmp_path: Path
) -> None:
    ref = f"{registry.host}/{repo}:1"
    send(image.content, image.descriptor, ref)
    argv = [program("skopeo"), "inspect", "--tls-verify=false", "--config", "--raw"]
    env = environment({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    done = subprocess.run([*argv, f"docker://{ref}"], env=env, timeout=60, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == read_blob(image.content, image.config)


def cachexport(*args: str, folder: Path) -> str:
    argv = [sys.executable, "-m", "cachexport", "image", *args, "--store", str(folder / "kept")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_image_is_made_pushed_pulled_and_run_without_a_daemon(
    dockerd: Dockerd, registry: Registry, repo: str, tool: Path, tmp_path: Path
) -> None:
    """From the shell: append to nothing, push, pull, append, save, `docker load`, run."""
    run = partial(cachexport, folder=tmp_path)
    ref = f"{registry.host}/{repo}:1"
    (tmp_path / "x").write_text("in a layer")
    run("append", "--layer", f"{tool}:/bin/tool", "--name", ref, "--platform", "amd64")
    name, digest = run("push", ref).split()
    assert name == ref
    run("rm", ref)
    run("prune")
    assert run("pull", ref, "--platform", "amd64").split() == [ref, digest]
    archive = tmp_path / "app.tar"
    on_top = ["--layer", f"{tmp_path / 'x'}:/etc/x", "--entrypoint", "/bin/tool"]
    run("append", "--base", ref, *on_top, "-o", f"type=docker,dest={archive},name=example/app:1")
    assert "Loaded image: example/app:1" in dockerd.run("load", "--input", str(archive))
    (found,) = json.loads(dockerd.run("image", "inspect", "example/app:1"))
    (shown,) = json.loads(run("inspect", str(archive), "--format", "json"))["images"]
    assert found["Id"] == shown["config"]["digest"]
    assert found["RootFS"]["Layers"] == [layer["diff_id"] for layer in shown["layers"]]
    dockerd.run("run", "--network=none", "--name=made", "example/app:1", "/made", "it ran")
    try:
        dockerd.run("cp", "made:/made", str(tmp_path / "made"))
        dockerd.run("cp", "made:/etc/x", str(tmp_path / "copied"))
    finally:
        dockerd.run("rm", "made")
    assert (tmp_path / "made").read_text() == "it ran\n"
    assert (tmp_path / "copied").read_text() == "in a layer"
    saved = tmp_path / "saved.tar"
    dockerd.run("save", "--output", str(saved), "example/app:1")
    assert run("load", str(saved)) == "docker.io/example/app:1\n"
    (again,) = json.loads(run("inspect", "example/app:1", "--format", "json"))["images"]
    assert again["config"]["digest"] == shown["config"]["digest"]
    dockerd.prune_all()
    run("save", "example/app:1", "-o", str(saved))
    assert "Loaded image: example/app:1" in dockerd.run("load", "--input", str(saved))
    (reloaded,) = json.loads(dockerd.run("image", "inspect", "example/app:1"))
    assert reloaded["Id"] == found["Id"]


def test_what_an_image_exporter_made_is_run_by_docker(
    dockerd: Dockerd, registry: Registry, repo: str, tool: Path, store: Store, tmp_path: Path
) -> None:
    made = make_image(tar_layer({"bin/tool": tool.read_bytes()}))
    ref = f"{registry.host}/{repo}:exported"
    exporter = ImageExporter(store, {"name": ref}, platform=AMD)
    with exporter.export(BuildResult(ref=Remote(made.layers, made.content))) as image:
        send(store.content, image.manifest, ref)
        dockerd.run("pull", ref)
        (found,) = json.loads(dockerd.run("image", "inspect", ref))
        assert found["Id"] == image.response["containerimage.config.digest"]
        assert found["RepoDigests"][0].endswith(image.response["containerimage.digest"])
    dockerd.run("run", "--rm", "--network=none", ref, "/bin/tool", "/made", "it ran")
