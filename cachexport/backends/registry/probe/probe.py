"""The checks of a registry, in their order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cachexport.backends.registry.probe.mounting import Mounting
from cachexport.backends.registry.probe.reaching import Reaching
from cachexport.backends.registry.probe.reading import Reading
from cachexport.backends.registry.probe.removing import Removing
from cachexport.backends.registry.probe.uploading import Uploading
from cachexport.backends.registry.probe.writing import Writing
from cachexport.contract.checks import Check, skipped, warning
from cachexport.errors import CachexportError
from cachexport.model.envelope.manifest import (
    Form,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.backends.registry.probe.desk import Desk
    from cachexport.contract.checks import Finding


class RegistryProbe:
    """A Probe over a reference; see Probe. What the reference names is only read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._reaching = Reaching(desk)
        self._writing = Writing(desk)
        self._reading = Reading(desk, self._writing)
        self._uploading = Uploading(desk)
        self._mounting = Mounting(desk, self._writing)
        self._removing = Removing(desk)

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        reading = (
            Check(name="reach", run=self._reaching.reach),
            Check(name="login", run=self._reaching.login, needs=("reach",)),
            Check(name="clock", run=self._reaching.clock, needs=("reach",)),
            Check(name="read", run=self._reading.read, needs=("login",)),
        )
        if self._desk.reference.digest is not None:
            return (*reading, Check(name="write", run=_cannot_be_written, writes=True))
        write = Check(name="write", run=self._writing.write, needs=("login",), writes=True)
        return (*reading, write, *self._after_writing())

    def close(self) -> None:
        """See Probe."""
        try:
            self._removing.close()
        finally:
            self._desk.close()

    def _after_writing(self) -> Iterator[Check]:
        for form in Form:
            yield _needing_write(form, partial(self._writing.form, form))
        yield _needing_write("replace", self._writing.replace)
        yield _needing_write("read-back", self._reading.read_back)
        yield _optional("missing-blobs", self._writing.missing_blobs)
        yield _optional("chunked-upload", self._uploading.chunked_upload)
        yield _optional("mount", self._mounting.mount)
        yield _optional("merge", self._writing.merge)
        yield _optional("delete", self._removing.delete)
        yield _optional("large-manifest", self._writing.large_manifest)
        yield _optional("clean-up", self._removing.clean_up)


def _needing_write(name: str, run: Callable[[], Finding]) -> Check:
    return Check(name=name, run=run, needs=("write",), writes=True)


def _optional(name: str, run: Callable[[], Finding]) -> Check:
    """Make a check of what exports can do without: an error is no more than a warning."""

    def mildly() -> Finding:
        try:
            return run()
        except CachexportError as error:
            return warning(str(error))

    return _needing_write(name, mildly)


def _cannot_be_written() -> Finding:
    return skipped("a digest is only read; name a tag to try writing")
