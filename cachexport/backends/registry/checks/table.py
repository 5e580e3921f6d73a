"""The table of a registry's checks, in the order in which `doctor` runs and shows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cachexport.backends.registry.checks import access, content, manifests
from cachexport.contract.checks import Row, skipped
from cachexport.model.envelope.manifest import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.backends.registry.checks.desk import RegistryDesk
    from cachexport.contract.checks import Check, Finding


def _not_written(desk: RegistryDesk) -> Finding:
    return skipped("a digest is only read; name a tag to try writing")


_AFTER_WRITE = ("write",)

READING: tuple[Row[RegistryDesk], ...] = (
    Row("reach", access.reach),
    Row("login", access.login, needs=("reach",)),
    Row(
        "clock",
        access.compare_clocks,
        needs=("reach",),
        advice="set this machine's clock (timedatectl set-ntp true) or the registry's: "
        "tokens are good for minutes only",
    ),
    Row("read", content.read, needs=("login",)),
)
OF_A_DIGEST: tuple[Row[RegistryDesk], ...] = (*READING, Row("write", _not_written, writes=True))
OF_A_TAG: tuple[Row[RegistryDesk], ...] = (
    *READING,
    Row("write", content.write, needs=("login",), writes=True),
    *(Row(form, partial(manifests.check_form, form), _AFTER_WRITE, writes=True) for form in Form),
    Row(
        "replace",
        manifests.replace,
        _AFTER_WRITE,
        writes=True,
        advice="let tags be replaced in this repository (mutable tags), or write each export to "
        "a tag of its own",
    ),
    Row("read-back", content.read_back, _AFTER_WRITE, writes=True),
    Row(
        "missing-blobs",
        manifests.missing_blobs,
        _AFTER_WRITE,
        writes=True,
        optional=True,
        advice="leave it out",
    ),
    Row("chunked-upload", content.chunked_upload, _AFTER_WRITE, writes=True, optional=True),
    Row(
        "mount",
        content.mount,
        _AFTER_WRITE,
        writes=True,
        optional=True,
        advice="allow this login to pull there, or leave it out of mount-from",
    ),
    Row("merge", manifests.merge, _AFTER_WRITE, writes=True, optional=True),
    Row("delete", manifests.delete, _AFTER_WRITE, writes=True, optional=True),
    Row(
        "large-manifest",
        manifests.large_manifest,
        _AFTER_WRITE,
        writes=True,
        optional=True,
        advice="mode=min keeps fewer results; a tag for each part of the build keeps each small",
    ),
    Row(
        "clean-up",
        manifests.clean_up,
        _AFTER_WRITE,
        writes=True,
        optional=True,
        advice="remove that tag in the registry's own way; it cannot be done from here",
    ),
)


class RegistryProbe:
    """A Probe over a reference; see Probe. What the reference names is only read."""

    def __init__(self, desk: RegistryDesk) -> None:
        self._desk = desk

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        table = OF_A_TAG if self._desk.reference.digest is None else OF_A_DIGEST
        return [row.at(self._desk) for row in table]

    def close(self) -> None:
        """See Probe."""
        try:
            manifests.remove_rest(self._desk)
        finally:
            self._desk.close()
