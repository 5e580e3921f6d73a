"""Whether a write can be bound to what is there, so that of many writers none is lost."""

from __future__ import annotations

from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import TYPE_CHECKING

from cachexport.backends.objects.client import ABSENT
from cachexport.content.parallel import map_parallel
from cachexport.contract.checks import note, ok, skipped, warning
from cachexport.errors import BackendError, Outdated

if TYPE_CHECKING:
    from cachexport.backends.objects.probe_trial import Trial
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
