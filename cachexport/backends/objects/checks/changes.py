"""Whether what is there can be replaced on condition, made young, and deleted."""

from __future__ import annotations

import math
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING

from cachexport.backends.objects.client import ABSENT
from cachexport.content.clock import clock
from cachexport.content.parallel import map_parallel
from cachexport.content.verify import read_blob
from cachexport.contract.checks import note, ok, skipped, warning
from cachexport.errors import BackendError, Outdated

if TYPE_CHECKING:
    from cachexport.backends.objects.checks.trial import Trial
    from cachexport.contract.checks import Finding

_SKEW = 60.0
"""Seconds of difference that do no harm: what goes by age counts in hours."""
_NO_PRUNE = "prune refuses, and nothing may expire by its age"
_REMOVE_NAMES = "remove names with `cachexport rm`, and now and then the whole place"
_TOUCHES, _PAUSE = 6, 0.5
"""Touches, and seconds after each: over two seconds in all, which some stores count in."""
_ROUNDS = 5
_TIMEOUT = 10.0
"""Seconds that one of two writers waits for the other."""
_LOSES = "with merge=true one of several jobs may lose the entries of another"
_FAILS = "exports with merge=true fail"
_STAYS = "prune does not work, old blobs and caches stay"


def modified(trial: Trial) -> Finding:
    """Compare the time at which the store says that something was written with ours."""
    # An object of its own, of which the moment of writing is known.
    key = trial.own_key(f"{trial.name_key}-now")
    before = clock().now()
    trial.client.replace(key, trial.content(), {}, version=None)
    middle = (before + clock().now()) / 2
    written = trial.client.head(key).modified
    if written is None:
        text = f"the store does not tell when something was written: {_NO_PRUNE}"
        return note(text, _REMOVE_NAMES)
    skew = round(written - middle)
    if abs(skew) <= _SKEW:
        return ok("the store's times are no more than a minute from ours", skew_seconds=skew)
    return warning(
        f"this clock is {abs(skew):,} s {'behind' if skew > 0 else 'ahead of'} the times that "
        "the store gives: blobs are touched, and removed, too early or too late",
        skew_seconds=skew,
    )


def if_absent(trial: Trial) -> Finding:
    """See whether a write that is to make a name fails where the name is."""
    key = trial.own_key(f"{trial.name_key}-new")
    try:
        _write(trial, key, ABSENT)
    except Outdated:
        text = f"a name that is not there cannot be made on that condition: {_FAILS}"
        return warning(text, conditional=False)
    except BackendError as error:
        return trial.limited(error, _FAILS)
    try:
        _write(trial, key, ABSENT)
    except Outdated:
        return ok("a name is made only where there is none", conditional=True)
    text = f"a write that is to make a name replaces one that is there: {_LOSES}"
    return warning(text, conditional=False)


def if_unchanged(trial: Trial) -> Finding:
    """See whether a write fails where somebody else wrote meanwhile, and only there."""
    key = trial.own_key(trial.name_key)
    try:
        old = _write(trial, key, None)
        _write(trial, key, old)
    except Outdated:
        text = f"what nobody else wrote cannot be replaced on that condition: {_FAILS}"
        return warning(text, conditional=False)
    except BackendError as error:
        return trial.limited(error, _FAILS)
    try:
        _write(trial, key, old)
    except Outdated:
        trial.facts.is_conditional = True
        return ok("a name is replaced only where nobody else wrote it", conditional=True)
    text = f"a write that is bound to an old version replaces a newer one: {_LOSES}"
    return warning(text, conditional=False)


def race(trial: Trial) -> Finding:
    """See whether one of two writers wins who write at the same time."""
    if not trial.facts.is_conditional:
        return skipped("there are no conditional writes")
    key = trial.own_key(trial.name_key)
    won = [_count_winners(trial, key) for _ in range(_ROUNDS)]
    facts = {
        "rounds": _ROUNDS,
        "won_by_one": won.count(1),
        "won_by_both": won.count(2),
    }
    if 2 in won:
        text = f"two who write at once are both told that theirs is there: {_LOSES}"
        return warning(text, "", **facts)
    if 1 not in won:
        text = "of two who write at once neither gets through: merge=true takes long"
        return warning(text, "", **facts)
    return ok("of two who write at once one wins, and the other is told", **facts)


def _count_winners(trial: Trial, key: str) -> int:
    """Let two write at once, and count those to whom the store says that they did."""
    client, version = trial.client, trial.client.head(key).version
    start = Barrier(2)

    def write(raw: bytes) -> bool:
        with suppress(BrokenBarrierError):
            start.wait(_TIMEOUT)
        try:
            client.replace(key, raw, {}, version=version)
        except Outdated:
            return False
        return True

    return sum(map_parallel(write, [trial.content() for _ in range(2)], 2))


def touch(trial: Trial) -> Finding:
    """See whether a blob can be made young, so that expiry spares it."""
    if math.isinf(trial.blobs.touch_refresh):
        text = f"blobs cannot be made young there: {_NO_PRUNE}"
        return note(text, _REMOVE_NAMES, touched=False)
    try:
        is_younger = _is_younger_when_touched(trial)
    except BackendError as error:
        hours = trial.blobs.touch_refresh / 3600
        return trial.limited(
            error, f"exports fail that use a blob of more than {hours:,.4g} h again"
        )
    if not is_younger:
        return warning(
            "a blob that is touched stays as old as it was: expiry by age (lifecycle rules) "
            "would delete blobs that are in use",
            f"let nothing below {trial.client.place}/{trial.blobs.keys.blobs} expire by its age",
            touched=False,
        )
    read_blob(trial.blobs, trial.descriptor)
    return ok("a blob can be made young: expiry by age spares what is used", touched=True)


def _is_younger_when_touched(trial: Trial) -> bool:
    first = found = trial.client.head(trial.blob_key)
    for _ in range(_TOUCHES):
        trial.client.touch(found)
        found = trial.client.head(trial.blob_key)
        if (found.modified or 0) > (first.modified or 0):
            return True
        clock().sleep(_PAUSE)
    return False


def delete(trial: Trial) -> Finding:
    """See whether the blob can be deleted."""
    try:
        trial.client.delete(trial.blob_key)
        is_gone = trial.is_gone(trial.blob_key)
    except BackendError as error:
        return trial.limited(error, _STAYS)
    if not is_gone:
        return warning(f"what was deleted is there still: {_STAYS}")
    trial.facts.may_delete = True
    return ok("blobs can be deleted")


def delete_if(trial: Trial) -> Finding:
    """See whether a deletion can be bound to what is there."""
    if not trial.facts.may_delete:
        return skipped("nothing can be deleted")
    key = trial.own_key(trial.name_key)
    old, new = (_write(trial, key, None) for _ in range(2))
    try:
        trial.client.delete(key, version=old)
    except Outdated:
        pass
    except BackendError as error:
        return _not_offered(str(error), conditional=False)
    else:
        return _not_offered("a deletion that is bound to an old version is done", conditional=False)
    try:
        trial.client.delete(key, version=new)
    except (Outdated, BackendError) as error:
        return _not_offered(f"even of the right version ({error})", conditional=True)
    return ok("a name is deleted only where nobody else wrote it", conditional=True)


def _not_offered(text: str, *, conditional: bool) -> Finding:
    return note(
        f"no conditional deletion: {text}; a name that was just written may be removed",
        "remove old caches while no export runs",
        conditional=conditional,
    )


def clean_up(trial: Trial) -> Finding:
    """Delete what is left, and say what cannot be."""
    errors = trial.remove()
    if not trial.keys:
        return ok("nothing is left", left=0)
    advice = trial.advise(errors[0]) if errors else ""
    return warning(
        f"left there: {trial.left()}",
        f"delete that; {advice}" if advice else "delete that in the store's own way",
        left=len(trial.keys),
    )


def _write(trial: Trial, key: str, version: str | None) -> str:
    return trial.client.replace(key, trial.content(), {}, version=version)
