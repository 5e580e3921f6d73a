from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from cli.commands import InProcess, local, process
from support.caches import FOLDER

from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX = local(FOLDER / "max")


def _published(folder: Path) -> dict[str, object]:
    (entry,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    return {key: entry[key] for key in ("mediaType", "digest", "size")}


def test_one_target_answers_with_an_object(tmp_path: Path) -> None:
    ran = process("export", "--cache-from", MAX, "--cache-to", local(tmp_path / "out", "dest"))
    assert ran.code == 0
    assert ran.out.count("\n") == 1
    assert ": " not in ran.out
    answer = json.loads(ran.out)
    assert list(answer) == ["cache.manifest"]
    assert json.loads(answer["cache.manifest"]) == _published(FOLDER / "max")
    assert _published(tmp_path / "out") == _published(FOLDER / "max")
    assert "writing cache image manifest" in ran.err


def test_several_targets_answer_in_their_order(run: InProcess, tmp_path: Path) -> None:
    plain = local(tmp_path / "a", "dest")
    index = local(tmp_path / "b", "dest", **{"image-manifest": "false"})
    for targets, folders in ([plain, index], "ab"), ([index, plain], "ba"):
        to = [word for target in targets for word in ("--cache-to", target)]
        ran = run("export", "--cache-from", MAX, *to)
        answers = [json.loads(item["cache.manifest"]) for item in json.loads(ran.out)]
        assert answers == [_published(tmp_path / folder) for folder in folders]
        assert answers[0] != answers[1]


def test_ignored_failure(run: InProcess, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    bad = local(file, "dest", **{"ignore-error": "true"})
    good = local(tmp_path / "good", "dest")
    alone = run("export", "--cache-from", MAX, "--cache-to", bad)
    assert alone.code == 0
    assert "cachexport: warning: ignoring a failed export" in alone.err
    failure = json.loads(alone.out)
    assert set(failure) == {"error", "exit_code"}
    assert str(file) in failure["error"]
    assert failure["exit_code"] > 2
    both = json.loads(run("export", "--cache-from", MAX, "--cache-to", bad, "--cache-to", good).out)
    assert [sorted(item) for item in both] == [["error", "exit_code"], ["cache.manifest"]]


def test_sources_are_merged(run: InProcess, tmp_path: Path) -> None:
    ran = run(
        "export",
        *("--cache-from", local(FOLDER / "multi-amd64")),
        *("--cache-from", local(tmp_path / "absent")),
        *("--cache-from", local(FOLDER / "multi-arm64")),
        *("--cache-to", local(tmp_path / "out", "dest")),
    )
    assert ran.code == 0
    assert ran.err.count("cachexport: warning: skipping") == 1
    shown = run("inspect", local(tmp_path / "out"), "--format", "json")
    both = run("inspect", local(FOLDER / "multi-both"), "--format", "json")
    sizes = [json.loads(ran.out)["caches"][0]["summary"]["size"] for ran in (shown, both)]
    assert sizes[0] == sizes[1]


def test_nothing_to_export_answers_with_an_empty_object(run: InProcess, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    _write_empty_cache(empty)
    ran = run("export", "--cache-from", local(empty), "--cache-to", local(tmp_path / "o", "dest"))
    assert (ran.code, ran.out) == (0, "{}\n")
    assert "skipping cache export for empty result" in ran.err
    assert not (tmp_path / "o").exists()


def _write_empty_cache(folder: Path) -> None:
    def blob(text: str, media_type: str) -> str:
        raw = text.encode()
        digest = Digest.of(raw)
        (folder / "blobs" / "sha256" / digest.encoded).write_bytes(raw)
        return f'{{"mediaType":"{media_type}","digest":"{digest}","size":{len(raw)}}}'

    (folder / "blobs" / "sha256").mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    kind = "application/vnd.oci.image.manifest.v1+json"
    config = blob("{}", "application/vnd.buildkit.cacheconfig.v0")
    text = f'{{"schemaVersion":2,"mediaType":"{kind}","config":{config},"layers":[]}}'
    entry = json.loads(blob(text, kind))
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    index = {"schemaVersion": 2, "manifests": [entry]}
    (folder / "index.json").write_text(json.dumps(index))


def test_metadata_file_has_the_answer(run: InProcess, tmp_path: Path) -> None:
    file = tmp_path / "meta.json"
    file.write_text("old")
    to = local(tmp_path / "out", "dest")
    ran = run("export", "--cache-from", MAX, "--cache-to", to, "--metadata-file", str(file))
    assert ran.code == 0
    assert file.read_text() == ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["meta.json", "out"]


def test_metadata_file_through_a_link_and_a_pipe(run: InProcess, tmp_path: Path) -> None:
    target, link, pipe = (tmp_path / name for name in ("target", "link", "pipe"))
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    to = local(tmp_path / "out", "dest")
    for file in (link, pipe):
        ran = run("export", "--cache-from", MAX, "--cache-to", to, "--metadata-file", str(file))
        assert ran.code == 0
    assert link.is_symlink()
    assert target.read_text() == ran.out
    assert os.read(reader, 65536).decode() == ran.out
    os.close(reader)


@pytest.mark.parametrize("place", ["absent/meta.json", "folder", "file/meta.json"])
def test_metadata_file_is_checked_first(run: InProcess, tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    to = local(tmp_path / "out", "dest")
    file = str(tmp_path / place)
    ran = run("export", "--cache-from", MAX, "--cache-to", to, "--metadata-file", file)
    assert (ran.code, ran.out) == (74, "")
    assert file in ran.errors[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("args", "threads"), [([], None), (["--threads", "9"], 9)])
def test_threads(
    run: InProcess, monkeypatch: pytest.MonkeyPatch, args: list[str], threads: int | None
) -> None:
    from cachexport.api.caches import (
        Answer,
    )

    seen: list[object] = []

    def copy(
        sources: object,
        targets: object,
        *,
        threads: int,
        answered: Callable[[Answer], None],
        **settings: object,
    ) -> None:
        seen.append((sources, targets, threads))
        answered(Answer("b", {"cache.manifest": "x"}))

    monkeypatch.setattr("cachexport.api.caches.copy_cache", copy)
    ran = run("export", "--cache-from", "a", "--cache-to", "b", *args)
    assert seen == [(("a",), ("b",), threads)]
    assert ran.out == '{"cache.manifest":"x"}\n'
    assert run("export", "--cache-from", "a", "--cache-to", "b", "--threads", "0").code == 2
