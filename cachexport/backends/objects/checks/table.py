"""The checks of a store of objects, in the order in which `doctor` runs and shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from cachexport.backends.objects.checks import changes, content
from cachexport.contract.checks import Check, Row, failed, skipped, warning
from cachexport.errors import BackendError, CachexportError, NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.backends.objects.checks.trial import Trial
    from cachexport.contract.checks import Finding

_Desk = TypeVar("_Desk")


def _not_written(trial: Trial) -> Finding:
    return skipped("digest= is only read; leave it out to try writing")


_W = ("write",)
_REPLACED = ("write", "replace")
_ONE_AT_A_TIME = (
    "where each entry counts, let one job write at a time, or each under a name of its own"
)

REACH = Row("reach", content.reach)
_READ = Row("read", content.read, needs=("reach",))

OF_A_DIGEST: tuple[Row[Trial], ...] = (_READ, Row("write", _not_written, writes=True))
OF_NAMES: tuple[Row[Trial], ...] = (
    Row("list", content.list_blobs, needs=("reach",)),
    _READ,
    Row("write", content.write, needs=("reach",), writes=True),
    Row(
        "read-back",
        content.read_back,
        _W,
        writes=True,
        advice="ask the store, or a proxy before it, to honour Range",
    ),
    Row("list-after", content.list_after, ("write", "list"), writes=True, optional=True),
    Row("replace", content.replace, _W, writes=True),
    Row(
        "modified",
        changes.modified,
        _REPLACED,
        writes=True,
        optional=True,
        advice="set this machine's clock (timedatectl set-ntp true) or the store's",
    ),
    Row(
        "if-absent",
        changes.if_absent,
        _REPLACED,
        writes=True,
        optional=True,
        advice=_ONE_AT_A_TIME,
    ),
    Row(
        "if-unchanged",
        changes.if_unchanged,
        _REPLACED,
        writes=True,
        optional=True,
        advice=_ONE_AT_A_TIME,
    ),
    Row("race", changes.race, _REPLACED, writes=True, optional=True, advice=_ONE_AT_A_TIME),
    Row(
        "touch",
        changes.touch,
        _W,
        writes=True,
        optional=True,
        advice="touch_refresh=87600h touches none, if nothing expires by its age",
    ),
    Row(
        "delete",
        changes.delete,
        _W,
        writes=True,
        optional=True,
        advice="let what is old expire in the store's own way",
    ),
    Row("delete-if", changes.delete_if, _REPLACED, writes=True, optional=True),
    Row("clean-up", changes.clean_up, _W, writes=True),
)
"""All that writes; a backend's own checks come before the last."""


class ObjectProbe:
    """A Probe over any ObjectClient; see Probe.

    A backend may bring checks of its own. `first` run instead of `reach`, and all others need the
    last of them. `more` run when it is known whether anything can be deleted again, and have
    `trial` remove what they write: see `Trial.own_key`.
    """

    def __init__(
        self, trial: Trial, *, first: Sequence[Check] = (), more: Sequence[Check] = ()
    ) -> None:
        self._trial = trial
        self._first = first or (check_at(REACH, trial, trial),)
        self._more = more

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        if self._trial.digest is not None:
            return [*self._first, *self._bound(OF_A_DIGEST)]
        *rest, clean_up = self._bound(OF_NAMES)
        return [*self._first, *rest, *self._more, clean_up]

    def close(self) -> None:
        """See Probe."""
        try:
            self._trial.close()
        finally:
            self._trial.client.close()

    def _bound(self, rows: Sequence[Row[Trial]]) -> list[Check]:
        checks = [check_at(row, self._trial, self._trial) for row in rows]
        entry = {REACH.name: self._first[-1].name}
        return [
            replace(check, needs=tuple(entry.get(name, name) for name in check.needs))
            for check in checks
        ]


def check_at(row: Row[_Desk], desk: _Desk, trial: Trial) -> Check:
    """Make the check of one place. `trial` knows what to do about an error that ends it."""
    check = replace(row, optional=False).at(desk)

    def run() -> Finding:
        try:
            return check.run()
        except CachexportError as error:
            if row.optional:
                return warning(str(error), trial.advise(error))
            if isinstance(error, NotFound):
                # To a caller NotFound means that there is no cache to read.
                return failed(BackendError(str(error), op="reach"), trial.advise(error))
            if isinstance(error, BackendError):
                return failed(error, trial.advise(error))
            raise

    return replace(check, run=run)
