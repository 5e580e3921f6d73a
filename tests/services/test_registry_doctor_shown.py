"""What `doctor` shows of registries, here and in the README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from services.diagnoses import TAG, spec, undeletable
from support import ROOT

from cachexport.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.registry import Registry

README = ROOT / "README.md"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


TABLE = """\
type=registry,ref=HOST/REPO:cache

ok       reach           http, registry/2.0, N ms there and back
ok       login           none is asked for
ok       clock           no more than a minute apart
ok       read            there is nothing under this name yet
ok       write           blobs are taken, and are there
ok       image-manifest  taken; read by BuildKit, not by Docker 20.10
ok       oci-index       taken; read by BuildKit and Docker 20.10
ok       docker-list     taken; read by BuildKit and Docker 20.10
ok       replace         a tag can be given to another manifest
ok       read-back       digests are equal, ranges are honoured
ok       missing-blobs   refused (400): trust-existing=true is safe
ok       chunked-upload  a blob can be sent in parts, what has arrived is told
ok       mount           blobs are taken over, as tried within the repository
note     merge           no conditional writes: merge=true looks at the tag
                         again up to 5 s after it has written; a writer slower
                         than that still undoes a merge
                         -> where each entry counts, let one job write, or each
                            a tag of its own
ok       delete          manifests can be deleted by digest
ok       large-manifest  4 MiB is taken; BuildKit imports 1 MiB
ok       clean-up        nothing is left

17 checks: 16 ok, 1 note
"""


def test_what_is_shown_of_a_good_registry(
    registry: Registry,
    repo: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor", spec(registry.host, repo)]) == 0
    shown = capsys.readouterr()
    settled = re.sub(r"[\d.,]+ ms", "N ms", shown.out)
    assert settled.replace(registry.host, "HOST").replace(repo, "REPO") == TABLE
    assert shown.err == ""


def test_the_readme_shows_what_is_shown(
    repo: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pattern = r"^```\n\$ cachexport doctor \S+\n(.*?)^```$"
    [shown] = re.findall(pattern, README.read_text(encoding="utf-8"), re.M | re.S)
    with undeletable(tmp_path) as registry:
        main(["doctor", f"{registry.host}/{repo}:cache"])
        out = capsys.readouterr().out.replace(f"{registry.host}/{repo}", "localhost:5000/app")
    told = _settled(out)
    for part in shown.split("…\n"):
        assert _settled(part) in told


def _settled(text: str) -> str:
    """Give the words, without what differs from one time to the next and how they are wrapped."""
    return " ".join(re.sub(r"[\d.,]+ ms", "N ms", TAG.sub("TAG", text)).split())
