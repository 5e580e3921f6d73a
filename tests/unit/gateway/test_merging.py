"""Caches that are pushed to one tag at once, each with what the tag stood for before."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from support import bucket, caches

from cachexport import copy_cache, load_cache, merge_cache
from cachexport.backends.local.target import LocalTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from unit.gateway.conftest import Gateway

BOTH = ["multi-amd64", "multi-arm64"]
TAG = "team/app:main"


class Meeting:
    """Lets the first two go on together, and all others at once."""

    def __init__(self) -> None:
        self.came = 0
        self._barrier = threading.Barrier(2)
        self._guard = threading.Lock()

    def wait(self) -> None:
        with self._guard:
            self.came += 1
            is_early = self.came <= 2
        if is_early:
            self._barrier.wait(20)


@pytest.fixture
def meeting() -> Meeting:
    return Meeting()


@pytest.fixture(params=["local", "bucket"])
def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meeting: Meeting,
) -> str:
    """Give a place where two meet that have merged, right before they write what they made."""
    if request.param == "local":
        publish = LocalTarget.publish

        def met(self: LocalTarget, *args: Any, **kwargs: Any) -> Any:
            meeting.wait()
            return publish(self, *args, **kwargs)

        monkeypatch.setattr(LocalTarget, "publish", met)
        return f"type=local,dest={tmp_path / 'store'}"
    stored = bucket.installed(monkeypatch).objects
    replace = stored.replace

    def written(
        key: str, raw: bytes, metadata: Mapping[str, str], /, *, version: str | None
    ) -> str:
        if key.startswith(bucket.KEYS.names):
            meeting.wait()
        return replace(key, raw, metadata, version=version)

    monkeypatch.setattr(stored, "replace", written)
    return bucket.SPEC


def push(gateway: Gateway, name: str) -> None:
    source = f"type=local,src={caches.FOLDER / name}"
    copy_cache([source], [f"type=registry,ref={gateway.host}/{TAG},force=true"])


def test_two_caches_pushed_at_once_are_both_there(
    start: Callable[..., Gateway], store: str, meeting: Meeting, tmp_path: Path
) -> None:
    # Two gateways: within one they take turns.
    both = [start(store, merge=True) for _ in BOTH]
    gateway = both[0]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(push, both, BOTH))
    assert meeting.came == 3  # one of them was too late, and began again
    merge_cache(
        [f"type=local,src={caches.FOLDER / name}" for name in BOTH],
        [f"type=local,dest={tmp_path / 'both'}"],
    )
    [wanted] = load_cache(f"type=local,src={tmp_path / 'both'}")
    [found] = load_cache(f"type=registry,ref={gateway.host}/{TAG}")
    assert found.config == wanted.config


def test_within_a_gateway_they_take_turns(
    start: Callable[..., Gateway], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    most: list[int] = []
    publish = LocalTarget.publish

    def told(self: LocalTarget, *args: Any, **kwargs: Any) -> Any:
        at_once.append(1)
        most.append(len(at_once))
        try:
            return publish(self, *args, **kwargs)
        finally:
            at_once.pop()

    monkeypatch.setattr(LocalTarget, "publish", told)
    gateway = start(f"type=local,dest={tmp_path / 'store'}", merge=True)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: push(gateway, name), BOTH * 3))
    assert set(most) == {1}
