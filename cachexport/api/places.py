"""Whole places: pruned, and told what to expire."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from cachexport.content.clock import clock
from cachexport.content.progress import silent
from cachexport.contract.discovery import find_backend
from cachexport.contract.opening import open_place
from cachexport.contract.place import Expiring
from cachexport.contract.spec import parse_spec
from cachexport.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.content.progress import Progress
    from cachexport.contract.place import Rules
    from cachexport.upkeep.prune import Plan, Pruning


def prune_caches(
    specs: Sequence[str], plan: Plan, *, now: float | None = None, progress: Progress = silent
) -> list[Pruning]:
    """Remove old names and the blobs that no name needs, or say what would be; see `Plan`.

    Of each specification the whole place is meant. `now` is in seconds since 1970, by default
    the time; places that have a clock of their own go by that.
    """
    from cachexport.upkeep.prune import prune_places

    with ExitStack() as stack:
        places = [stack.enter_context(closing(open_place(spec))) for spec in specs]
        return prune_places(places, plan, clock().now() if now is None else now, progress)


def lifecycle_rules(spec: str, days: int, *, apply: bool = False) -> Rules:
    """Give rules that let a place expire names after so many days, and blobs late enough.

    With `apply` the place goes by them from then on; its other rules stay. Raises PluginError
    where there is no such thing.
    """
    parsed = parse_spec(spec)
    backend = find_backend(parsed.type)
    if not isinstance(backend, Expiring):
        raise PluginError(
            f"type={parsed.type} expires nothing by itself; run `cachexport prune` now and then"
        )
    with closing(backend.expiry(parsed)) as expiry:
        rules = expiry.rules(days)
        if apply:
            rules = expiry.apply(rules)
    return rules
