"""How often, and when, an upload is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.clock import sleep_by
from support.services.exports import MIB, hasten, noise, push_layers
from support.services.scripted import Fault

from cachexport.errors import CachexportError, RegistryError, TransferError

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.scripted import ScriptedRegistry

START = r"/blobs/uploads/$"
UPLOAD = r"/blobs/uploads/."
LAYER = noise(20 * MIB)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


@pytest.mark.parametrize(("retries", "waited"), [(1, 0), (3, 2)])
@pytest.mark.parametrize("layer", [LAYER, b"small"])
def test_the_next_try_comes_when_the_registry_wants_it(
    scripted: ScriptedRegistry,
    repo: str,
    layer: bytes,
    retries: int,
    waited: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    sleep_by(pauses.append)
    scripted.on("PUT", UPLOAD, Fault(status=503, headers={"Retry-After": "40"}), times=None)
    with pytest.raises(TransferError, match="503"):
        push_layers(scripted.host, repo, [layer], f"retries={retries}")
    assert len([seconds for seconds in pauses if 40 <= seconds <= 60]) == waited


@pytest.mark.parametrize("retries", [1, 2, 3, 7])
def test_a_whole_upload_is_tried_as_often_as_told(
    scripted: ScriptedRegistry, repo: str, retries: int
) -> None:
    rule = scripted.on("PUT", UPLOAD, Fault(status=500), times=None)
    with pytest.raises(TransferError) as raised:
        push_layers(scripted.host, repo, [LAYER], f"retries={retries}")
    assert rule.hits == retries
    assert isinstance(raised.value.__cause__, RegistryError)
    assert not raised.value.temporary


@pytest.mark.parametrize("retries", [1, 2, 3, 7])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", START), ("HEAD", "/blobs/"), ("PUT", UPLOAD)]
)
def test_a_request_is_tried_as_often_as_told(
    scripted: ScriptedRegistry, repo: str, method: str, path: str, retries: int
) -> None:
    rule = scripted.on(method, path, Fault(status=500), times=None)
    with pytest.raises(CachexportError, match="500"):
        push_layers(scripted.host, repo, [b"small"], f"retries={retries},parallelism=1")
    assert rule.hits == retries
