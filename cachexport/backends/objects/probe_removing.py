"""Removing what was written, which is a check as well: old caches are removed in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.contract.checks import ok, warning
from cachexport.errors import BackendError

if TYPE_CHECKING:
    from cachexport.backends.objects.probe_trial import Trial
    from cachexport.contract.checks import Finding

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
