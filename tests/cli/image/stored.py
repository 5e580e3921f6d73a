"""An image, and what is asked of those that are stored."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.images import make_image, tar_layer

from cachexport.images import save_docker_archive
from cachexport.images.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable


IMAGE = make_image(tar_layer({"a": b"1"}), tar_layer({"b": b"2" * 9000}))


def archive(path: str | Path, *names: str) -> str:
    save_docker_archive(Path(path), IMAGE.content, IMAGE.descriptor, names=names)
    return str(path)


def content(folder: Path) -> list[str]:
    with Store.open(folder / "store", clock=time.time) as store:
        return [info.digest for info in store.content.list()]


def described(image: Callable[..., str], *args: str) -> Any:
    return json.loads(image("inspect", *args, "--format", "json"))["images"]
