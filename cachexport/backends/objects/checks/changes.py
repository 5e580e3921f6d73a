"""Whether what is there can be bound to conditions, made young and deleted."""

from __future__ import annotations

import math
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING

from cachexport.backends.objects.client import ABSENT
from cachexport.content.parallel import map_parallel
from cachexport.content.verify import read_blob
from cachexport.contract.checks import note, ok, skipped, warning
from cachexport.errors import BackendError, Outdated

if TYPE_CHECKING:
    from cachexport.backends.objects.checks.trial import Trial
    from cachexport.contract.checks import Finding

_ROUNDS = 5
_TIMEOUT = 10.0
"""Seconds that one of two writers waits for the other."""
_LOSES = "with merge=true one of several jobs may lose the entries of another"
_FAILS = "exports with merge=true fail"
_ADVICE = "where each entry counts, let one job write at a time, or each under a name of its own"


class Conditions:
    """The checks of conditional writes and deletions."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._is_conditional = False

    def if_absent(self) -> Finding:
        """See whether a write that is to make a name fails where the name is."""
        trial = self._trial
        key = trial.own_key(f"{trial.name_key}-new")
        try:
            self._write(key, ABSENT)
        except Outdated:
            text = f"a name that is not there cannot be made on that condition: {_FAILS}"
            return warning(text, _ADVICE, conditional=False)
        except BackendError as error:
            return trial.limited(error, _FAILS, _ADVICE)
        try:
            self._write(key, ABSENT)
        except Outdated:
            return ok("a name is made only where there is none", conditional=True)
        text = f"a write that is to make a name replaces one that is there: {_LOSES}"
        return warning(text, _ADVICE, conditional=False)

    def if_unchanged(self) -> Finding:
        """See whether a write fails where somebody else wrote meanwhile, and only there."""
        trial = self._trial
        key = trial.own_key(trial.name_key)
        try:
            old = self._write(key, None)
            self._write(key, old)
        except Outdated:
            text = f"what nobody else wrote cannot be replaced on that condition: {_FAILS}"
            return warning(text, _ADVICE, conditional=False)
        except BackendError as error:
            return trial.limited(error, _FAILS, _ADVICE)
        try:
            self._write(key, old)
        except Outdated:
            self._is_conditional = True
            return ok("a name is replaced only where nobody else wrote it", conditional=True)
        text = f"a write that is bound to an old version replaces a newer one: {_LOSES}"
        return warning(text, _ADVICE, conditional=False)

    def race(self) -> Finding:
        """See whether one of two writers wins who write at the same time."""
        if not self._is_conditional:
            return skipped("there are no conditional writes")
        key = self._trial.own_key(self._trial.name_key)
        won = [self._winners(key) for _ in range(_ROUNDS)]
        facts = {"rounds": _ROUNDS, "won_by_one": won.count(1), "won_by_both": won.count(2)}
        if 2 in won:
            text = f"two who write at once are both told that theirs is there: {_LOSES}"
            return warning(text, _ADVICE, **facts)
        if 1 not in won:
            text = "of two who write at once neither gets through: merge=true takes long"
            return warning(text, _ADVICE, **facts)
        return ok("of two who write at once one wins, and the other is told", **facts)

    def delete_if(self) -> Finding:
        """See whether a deletion can be bound to what is there."""
        trial = self._trial
        if not trial.may_delete:
            return skipped("nothing can be deleted")
        key = trial.own_key(trial.name_key)
        old, new = (self._write(key, None) for _ in range(2))
        try:
            trial.client.delete(key, version=old)
        except Outdated:
            return self._delete_current(key, new)
        except BackendError as error:
            return _not_offered(str(error), conditional=False)
        return _not_offered("a deletion that is bound to an old version is done", conditional=False)

    def _delete_current(self, key: str, version: str) -> Finding:
        try:
            self._trial.client.delete(key, version=version)
        except (Outdated, BackendError) as error:
            return _not_offered(f"even of the right version ({error})", conditional=True)
        return ok("a name is deleted only where nobody else wrote it", conditional=True)

    def _write(self, key: str, version: str | None) -> str:
        return self._trial.client.replace(key, self._trial.content(), {}, version=version)

    def _winners(self, key: str) -> int:
        """Let two write at once and say how many were told that they did."""
        client, version = self._trial.client, self._trial.client.head(key).version
        start = Barrier(2)

        def write(raw: bytes) -> bool:
            with suppress(BrokenBarrierError):
                start.wait(_TIMEOUT)
            try:
                client.replace(key, raw, {}, version=version)
            except Outdated:
                return False
            return True

        return sum(map_parallel(write, [self._trial.content() for _ in range(2)], 2))


def _not_offered(text: str, *, conditional: bool) -> Finding:
    advice = "remove old caches while no export runs"
    return note(
        f"no conditional deletion: {text}; a name that was just written may be removed",
        advice,
        conditional=conditional,
    )


_SKEW = 60.0
"""Seconds of difference that do no harm: what goes by age counts in hours."""
_NO_PRUNE = "prune refuses, and nothing may expire by its age"
_AGELESS = "remove names with `cachexport rm`, and now and then the whole place"
_TRIES = 6
_PAUSE = 0.5
"""Seconds; with the tries more than two, since some stores count in steps of that."""


class Ageing:
    """The checks of modification times, on the blob that was written."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def modified(self) -> Finding:
        """Compare the time at which the store says that something was written with ours."""
        trial = self._trial
        # An object of its own, of which the moment of writing is known.
        key = trial.own_key(f"{trial.name_key}-now")
        before = trial.blobs.now()
        trial.client.replace(key, trial.content(), {}, version=None)
        middle = (before + trial.blobs.now()) / 2
        modified = trial.client.head(key).modified
        if modified is None:
            return note(
                f"the store does not tell when something was written: {_NO_PRUNE}", _AGELESS
            )
        skew = round(modified - middle)
        if abs(skew) <= _SKEW:
            return ok("the store's times are no more than a minute from ours", skew_seconds=skew)
        return warning(
            f"this clock is {abs(skew):,} s {'behind' if skew > 0 else 'ahead of'} the times that "
            "the store gives: blobs are touched, and removed, too early or too late",
            "set this machine's clock (timedatectl set-ntp true) or the store's",
            skew_seconds=skew,
        )

    def touch(self) -> Finding:
        """See whether a blob can be made young, so that expiry spares it."""
        if math.isinf(self._trial.blobs.touch_refresh):
            return note(f"blobs cannot be made young there: {_NO_PRUNE}", _AGELESS, touched=False)
        try:
            is_younger = self._is_younger_when_touched()
        except BackendError as error:
            return self._fails(error)
        if not is_younger:
            where = f"{self._trial.client.place}/{self._trial.blobs.keys.blobs}"
            return warning(
                "a blob that is touched stays as old as it was: expiry by age (lifecycle rules) "
                "would delete blobs that are in use",
                f"let nothing below {where} expire by its age",
                touched=False,
            )
        read_blob(self._trial.blobs, self._trial.descriptor)
        return ok("a blob can be made young: expiry by age spares what is used", touched=True)

    def _is_younger_when_touched(self) -> bool:
        client, key = self._trial.client, self._trial.blob_key
        first = found = client.head(key)
        for _ in range(_TRIES):
            client.touch(found)
            found = client.head(key)
            if (found.modified or 0) > (first.modified or 0):
                return True
            # It may count in whole seconds.
            self._trial.sleep(_PAUSE)
        return False

    def _fails(self, error: BackendError) -> Finding:
        hours = self._trial.blobs.touch_refresh / 3600
        return self._trial.limited(
            error,
            f"exports fail that use a blob of more than {hours:,.4g} h again",
            "touch_refresh=87600h touches none, if nothing expires by its age",
        )


_STAYS = "prune does not work, old blobs and caches stay"


class Removing:
    """The last checks. They delete what nobody else has."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def delete(self) -> Finding:
        """See whether the blob can be deleted."""
        trial, key = self._trial, self._trial.blob_key
        try:
            trial.client.delete(key)
            is_gone = trial.is_gone(key)
        except BackendError as error:
            return trial.limited(error, _STAYS, "let what is old expire in the store's own way")
        if not is_gone:
            text = f"what was deleted is there still: {_STAYS}"
            return warning(text, "let what is old expire in the store's own way")
        trial.may_delete = True
        return ok("blobs can be deleted")

    def clean_up(self) -> Finding:
        """Delete what is left, and say what cannot be."""
        trial = self._trial
        errors = trial.remove()
        if not trial.keys:
            return ok("nothing is left", left=0)
        advice = trial.advise(errors[0]) if errors else ""
        return warning(
            f"left there: {trial.left()}",
            f"delete that; {advice}" if advice else "delete that in the store's own way",
            left=len(trial.keys),
        )
