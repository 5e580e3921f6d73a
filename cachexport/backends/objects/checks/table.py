"""The checks of a store of objects, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.objects.checks.changes import Ageing, Conditions, Removing
from cachexport.backends.objects.checks.content import Looking, Writing
from cachexport.contract.checks import Check, skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.backends.objects.checks.trial import Trial
    from cachexport.contract.checks import Finding


class ObjectProbe:
    """A Probe over any ObjectClient; see Probe.

    A backend may bring `first` ones, to run instead of `reach`, of which the last is needed by
    all others, and `more`, to run when it is known whether anything can be deleted again. What
    they write they have `trial` own, which removes it.
    """

    def __init__(
        self, trial: Trial, *, first: Sequence[Check] = (), more: Sequence[Check] = ()
    ) -> None:
        self._trial = trial
        self._looking = Looking(trial)
        self._first = first or (self._looking_at("reach", self._looking.reach),)
        self._more = more

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        entry = self._first[-1].name
        read = self._looking_at("read", self._looking.read, entry)
        if self._trial.digest is not None:
            cannot = Check(name="write", run=_cannot_be_written, writes=True)
            return (*self._first, read, cannot)
        return (
            *self._first,
            self._looking_at("list", self._looking.list_blobs, entry),
            read,
            *self._writing(entry),
        )

    def close(self) -> None:
        """See Probe."""
        try:
            self._trial.close()
        finally:
            self._trial.client.close()

    def _writing(self, entry: str) -> Iterator[Check]:
        writing, ageing = Writing(self._trial), Ageing(self._trial)
        conditions, removing = Conditions(self._trial), Removing(self._trial)
        strictly, mildly = self._trial.strictly, self._trial.mildly
        write = strictly(writing.write)
        yield Check(name="write", run=write, needs=(entry,), writes=True)
        yield needing_write("read-back", strictly(writing.read_back))
        yield needing_write("list-after", mildly(writing.list_after), "list")
        yield needing_write("replace", strictly(writing.replace))
        yield needing_write("modified", mildly(ageing.modified), "replace")
        yield needing_write("if-absent", mildly(conditions.if_absent), "replace")
        yield needing_write("if-unchanged", mildly(conditions.if_unchanged), "replace")
        yield needing_write("race", mildly(conditions.race), "replace")
        yield needing_write("touch", mildly(ageing.touch))
        yield needing_write("delete", mildly(removing.delete))
        yield needing_write("delete-if", mildly(conditions.delete_if), "replace")
        yield from self._more
        yield needing_write("clean-up", removing.clean_up)

    def _looking_at(self, name: str, run: Callable[[], Finding], *needs: str) -> Check:
        return Check(name=name, run=self._trial.strictly(run), needs=needs)


def needing_write(name: str, run: Callable[[], Finding], *needs: str) -> Check:
    """Make a check that writes, once others have written."""
    return Check(name=name, run=run, needs=("write", *needs), writes=True)


def _cannot_be_written() -> Finding:
    return skipped("digest= is only read; leave it out to try writing")
