"""A store in memory as a place, whose time goes on when somebody waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.objects.layout import Blobs, Keys
from cachexport.backends.objects.place import ObjectPlace
from cachexport.backends.objects.target import ObjectTarget
from cachexport.contract.export import CommonExport
from cachexport.contract.spec import Spec
from cachexport.testing.samples import layer, small_cache
from cachexport.transfer.write import write
from cachexport.upkeep.prune import Plan, prune_places
from cachexport.upkeep.retention import Retention
from support.clock import go_by

if TYPE_CHECKING:
    from cachexport.testing.memory import MemoryObjects
    from cachexport.upkeep.prune import Pruning

HOUR = 3600.0
KEYS = Keys(blobs="app/blobs/", names="app/manifests/")


def content(client: MemoryObjects, keys: Keys = KEYS) -> Blobs:
    go_by(client)
    return Blobs(client=client, keys=keys)


def place(client: MemoryObjects, keys: Keys = KEYS, root: str = "app/") -> ObjectPlace:
    def source(name: str) -> Spec:
        return Spec("memory", {"name": name})

    def target(name: str, *, force: bool = False) -> Spec:
        return source(name)

    return ObjectPlace(content=content(client, keys), root=root, source=source, target=target)


def put(client: MemoryObjects, name: str, *numbers: int, keys: Keys = KEYS) -> None:
    end = ObjectTarget(CommonExport(), content(client, keys), name, force=False)
    assert write(small_cache(*numbers), end, threads=1)


def prune(client: MemoryObjects, keys: Keys = KEYS, root: str = "app/", **rules: int) -> Pruning:
    plan = Plan(retention=Retention(**rules), dry_run=False)
    [done] = prune_places([place(client, keys, root)], plan, 0)
    return done


def has(client: MemoryObjects, number: int, keys: Keys = KEYS) -> bool:
    return keys.blob(layer(number)[1].digest) in client.objects
