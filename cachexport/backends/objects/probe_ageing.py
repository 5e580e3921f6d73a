"""How old a store thinks that a blob is, which expiry and removal go by."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cachexport.content.verify import read_blob
from cachexport.contract.checks import note, ok, warning
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from cachexport.backends.objects.probe_trial import Trial
    from cachexport.contract.checks import Finding

_SKEW = 60.0
"""Seconds of difference that do no harm: what goes by age counts in hours."""
_NO_PRUNE = "prune refuses, and nothing may expire by its age"
_ADVICE = "remove names with `cachexport rm`, and now and then the whole place"
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
            return note(f"the store does not tell when something was written: {_NO_PRUNE}", _ADVICE)
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
            return note(f"blobs cannot be made young there: {_NO_PRUNE}", _ADVICE, touched=False)
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
