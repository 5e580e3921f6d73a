"""The verbs that look after whole places, as people see them."""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cli.commands import InProcess, local
from support import bucket, caches
from support.images import make_image, tar_layer

from cachexport import copy_cache
from cachexport.content.copy import ingest_bytes
from cachexport.contract.opening import open_place
from cachexport.oci.descriptor import Descriptor
from cachexport.oci.mediatype import OCI_LAYER, OCI_MANIFEST
from cachexport.plugin import Hosting

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600


@pytest.fixture
def folder(run: InProcess, tmp_path: Path) -> Path:
    """Give a directory with caches under three names, the older the later in the alphabet."""
    target = tmp_path / "place"
    for name in ("max", "min", "multi-both"):
        run(
            "export",
            "--progress",
            "quiet",
            "--cache-from",
            local(caches.FOLDER / name),
            "--cache-to",
            local(target, "dest", tag=name),
        )
    entries = json.loads((target / "index.json").read_bytes())["manifests"]
    for age, entry in enumerate(sorted(entries, key=lambda item: str(item["annotations"]))):
        path = target / "blobs" / "sha256" / entry["digest"].partition(":")[2]
        time = path.stat().st_mtime - age * 30 * HOUR
        os.utime(path, (time, time))
    return target


def test_ls_lists_the_newest_first(run: InProcess, folder: Path) -> None:
    ran = run("ls", local(folder))
    assert (ran.code, ran.err) == (0, "")
    heading, *rows = [line.split() for line in ran.out.splitlines()]
    assert heading == ["NAME", "AGE", "SIZE", "RECORDS", "LAYERS", "KIND"]
    assert [row[0] for row in rows] == ["max", "min", "multi-both"]
    assert rows[1][1:3] == ["30", "h"]
    document = json.loads(run("ls", local(folder), "--format", "json").out)
    names = {item["name"]: item for item in document["names"]}
    assert names["max"]["records"] == 16
    assert names["max"]["kind"] == "image-manifest"
    assert names["max"]["fault"] is None


def test_ls_takes_a_pattern_and_tells_faults(run: InProcess, folder: Path) -> None:
    manifest = json.loads(run("ls", local(folder), "--format", "json").out)["names"][0]["digest"]
    (folder / "blobs" / "sha256" / manifest.partition(":")[2]).unlink()
    ran = run("ls", local(folder), "--names", "ma*")
    assert ran.code == 0
    [_, row] = ran.out.splitlines()
    assert "damaged" in row
    assert manifest in row


def test_a_place_that_is_no_place(run: InProcess, tmp_path: Path) -> None:
    assert run("ls", local(tmp_path / "none")).code == 66
    (tmp_path / "file").write_text("x")
    assert run("ls", local(tmp_path)).code == 70
    assert run("touch", "type=registry,ref=localhost:1/x").code in (69, 74)


def test_tag_and_rm(run: InProcess, folder: Path) -> None:
    ran = run("tag", "--progress", "quiet", local(folder, tag="min"), "v1", "v2")
    assert (ran.code, ran.out) == (
        0,
        "".join(f"{local(folder, 'dest', tag=t)}\n" for t in ("v1", "v2")),
    )
    ran = run("rm", local(folder, tag="v*"))
    assert (ran.code, ran.out, ran.err) == (0, "v1\nv2\n", "")
    ran = run("rm", local(folder, tag="v1"))
    assert (ran.code, ran.out) == (66, "")
    assert "there is no name 'v1'" in ran.errors[0]


def test_touch_says_how_much(run: InProcess, folder: Path) -> None:
    ran = run("touch", local(folder, tag="max"))
    assert (ran.code, ran.out) == (0, "touched 12 blobs\n")
    assert run("touch", local(folder, tag="none")).code == 66


def test_prune_deletes_nothing_without_yes(run: InProcess, folder: Path) -> None:
    before = caches.files(folder)
    ran = run("prune", "--progress", "quiet", local(folder), "--keep-last", "1", "--grace", "0s")
    assert ran.code == 0
    assert caches.files(folder) == before
    assert re.search(r"^min +30 h .* goes +not among the newest 1$", ran.out, re.MULTILINE)
    assert "2 names would go" in ran.out
    assert "nothing was deleted; --yes does it" in ran.out


def test_prune_does_it(run: InProcess, folder: Path) -> None:
    args = ("--max-age", "20h", "--keep-name", "mi*", "--grace", "0s", "--yes", "--format", "json")
    ran = run("prune", "--progress", "quiet", local(folder), *args)
    [place] = json.loads(ran.out)["places"]
    assert {item["name"]: item["stays"] for item in place["names"]} == {
        "max": True,
        "min": True,
        "multi-both": False,
    }
    assert place["dry_run"] is False
    assert place["freed"]["blobs"] > 0
    assert json.loads(run("verify", "--names", "*", "--format", "json", local(folder)).out) == {
        "caches": [
            {"name": name, "records": 16, "blobs": blobs, "size": size, "faults": []}
            for name, blobs, size in (("max", 10, 1762), ("min", 6, 1259))
        ]
    }


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--keep-name", "x"), 2, "give keep-last, max-age or max-bytes"),
        (("--max-age", "soon"), 2, "no span of time"),
        (("--max-bytes", "much"), 2, "no size"),
        (("--yes", "--dry-run"), 2, "contradict"),
    ],
)
def test_prune_misused(
    run: InProcess, folder: Path, args: tuple[str, ...], code: int, said: str
) -> None:
    ran = run("prune", local(folder), *args)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.errors[0]


def test_prune_waits_for_exports_and_says_who_holds_on(
    run: InProcess, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cachexport.backends.local.layout import Layout
    from cachexport.content.files import lock

    monkeypatch.setattr(lock, "TIMEOUT", 0.0)
    taken = lock.acquire(Layout(folder).exports_lock, shared=True)
    ran = run("prune", "--progress", "quiet", local(folder), "--yes")
    taken.close()
    assert (ran.code, ran.out) == (75, "")
    assert "an export is running there" in ran.err


def test_repair_tells_what_it_did(run: InProcess, folder: Path) -> None:
    document = json.loads(run("inspect", local(folder, tag="min"), "--format", "json").out)
    lost = document["caches"][0]["layers"][0]["blob"]
    (folder / "blobs" / "sha256" / lost.partition(":")[2]).unlink()
    assert run("verify", "--progress", "quiet", local(folder), "--names", "*").code == 70
    copy = folder.parent / "copy"
    shutil.copytree(caches.FOLDER / "min", copy)
    spec = local(folder, tag="min")
    dry = run("repair", "--progress", "quiet", spec, "--dry-run", "--from", local(copy))
    assert dry.out.startswith("repaired  min: 1 blob restored\n")
    ran = run("repair", "--progress", "quiet", local(folder), "--names", "*", "--format", "json")
    names = {item["name"]: item for item in json.loads(ran.out)["names"]}
    assert names["min"]["outcome"] == "repaired"
    assert names["min"]["lost_results"] > 0
    assert lost in names["min"]["faults"][0]
    assert run("verify", "--progress", "quiet", local(folder), "--names", "*").code == 0


def test_repair_leaves_what_it_cannot_read(run: InProcess, folder: Path) -> None:
    document = json.loads(run("inspect", local(folder, tag="min"), "--format", "json").out)
    config = document["caches"][0]["config"]["digest"]
    (folder / "blobs" / "sha256" / config.partition(":")[2]).unlink()
    ran = run("repair", "--progress", "quiet", local(folder, tag="min"))
    assert ran.code == 65
    assert ran.out.startswith("damaged   min\n")
    ran = run("repair", "--progress", "quiet", local(folder, tag="min"), "--drop-damaged")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "removed   min")


def test_lifecycle_rules_keep_blobs_longer_than_names(run: InProcess) -> None:
    ran = run("lifecycle", "type=s3,bucket=caches,prefix=app/", "--days", "30")
    assert ran.code == 0
    names, images, blobs, uploads = json.loads(ran.out)["Rules"]
    assert (names["Filter"]["Prefix"], names["Expiration"]["Days"]) == ("app/manifests/", 30)
    assert images["Filter"]["Prefix"] == "app/cachexport/images/"
    assert images["Expiration"]["Days"] == 30
    assert (blobs["Filter"]["Prefix"], blobs["Expiration"]["Days"]) == ("app/blobs/", 32)
    assert uploads["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert "nothing was set" in ran.err
    ran = run("lifecycle", local("x"), "--days", "30")
    assert (ran.code, ran.out) == (69, "")
    assert "cachexport prune" in ran.errors[0]


def test_all_names_takes_one_source_and_one_target(run: InProcess, folder: Path) -> None:
    to = ("--cache-to", local(folder.parent / "a", "dest"))
    ran = run("export", "--all-names", "--cache-from", local(folder), *to, *to)
    assert ran.code == 2
    assert "one --cache-from and one --cache-to" in ran.errors[0]
    ran = run("export", "--names", "m*", "--progress", "quiet", "--cache-from", local(folder), *to)
    assert ran.code == 0
    assert len(json.loads(ran.out)) == 3


def test_names_that_others_wrote_do_nothing_to_a_terminal(run: InProcess, folder: Path) -> None:
    index = folder / "index.json"
    index.write_text(index.read_text().replace('"min"', '"a\\u001b[31m\\nb"'))
    ran = run("ls", local(folder))
    assert (ran.code, len(ran.out.splitlines())) == (0, 4)
    assert "\x1b" not in ran.out
    ran = run("verify", "--progress", "quiet", local(folder), "--names", "*")
    assert ran.code == 65
    assert "\x1b" not in ran.out
    assert ran.out.count("no fault") == 2
    ran = run("rm", local(folder, tag="a*"))
    assert (ran.code, ran.out) == (0, "a\\x1b[31m b\n")


def test_compacting_takes_one_cache(run: InProcess, folder: Path) -> None:
    before = caches.files(folder)
    ran = run("compact", "--progress", "quiet", local(folder, tag="m*"), "--max-layers", "1")
    assert (ran.code, ran.out) == (2, "")
    assert "one cache at a time" in ran.errors[0]
    assert caches.files(folder) == before


def test_images_of_a_bucket_are_shown_and_go_when_told(
    run: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = bucket.installed(monkeypatch)
    copy_cache([local(caches.FOLDER / "max")], [f"{bucket.SPEC},name=app"])
    image = make_image(tar_layer({"a": b"a"}))
    with closing(open_place(bucket.SPEC)) as place:
        assert isinstance(place, Hosting)
        with place.ingesting() as ingester:
            for raw in image.blobs:
                ingest_bytes(ingester, Descriptor.of(raw, OCI_LAYER), raw)
        place.assign("app/step", Descriptor.of(image.blobs[-1], OCI_MANIFEST))
    listed = run("ls", bucket.SPEC).out.splitlines()
    assert [line.split()[-1] for line in listed] == ["KIND", "image-manifest", "image"]
    stored.objects.time += 100 * 24 * 3600
    copy_cache([local(caches.FOLDER / "max")], [f"{bucket.SPEC},name=app,force=true"])
    prune = ("prune", "--progress", "quiet", bucket.SPEC, "--max-age", "30d")
    assert "stays  an image" in run(*prune).out
    ran = run(*prune, "--images", "--yes")
    assert (ran.code, "an image older than 30 days" in ran.out) == (0, True)
    assert [line.split()[0] for line in run("ls", bucket.SPEC).out.splitlines()] == ["NAME", "app"]
    ran = run("prune", bucket.SPEC, "--images")
    assert (ran.code, "max-age" in ran.errors[0]) == (2, True)
