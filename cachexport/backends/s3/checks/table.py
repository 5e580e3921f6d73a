"""The checks of a bucket, in the order in which `doctor` runs and shows them."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.backends.objects.checks.table import ObjectProbe, check_at
from cachexport.backends.s3.checks import access, uploads
from cachexport.backends.s3.client import S3Client
from cachexport.contract.checks import Check, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachexport.backends.s3.checks.desk import Desk
    from cachexport.contract.checks import Finding

_W = ("write",)

ACCESS: tuple[Row[Desk], ...] = (
    Row("reach", access.reach),
    Row(
        "clock",
        access.compare_clocks,
        needs=("reach",),
        advice="set this machine's clock (timedatectl set-ntp true) or the server's: requests that "
        "are 15 minutes off are refused",
    ),
    Row("region", access.region, needs=("reach",)),
    Row("login", access.login, needs=("reach",)),
    Row("style", access.style, needs=("login",)),
    Row("bucket", access.bucket, needs=("login",)),
)
"""They run instead of `reach` of the checks of objects."""
UPLOADS: tuple[Row[Desk], ...] = (
    Row("parts", uploads.parts, _W, writes=True),
    Row("abort", uploads.abort, _W, writes=True, optional=True),
    Row("copy-parts", uploads.copy_parts, ("write", "parts"), writes=True, optional=True),
    Row("checksums", uploads.checksums, _W, writes=True, optional=True),
    Row("versions", uploads.versions, _W, writes=True, optional=True),
)
"""They run after all checks of objects but `clean-up`."""


class S3Probe:
    """A Probe over a bucket; see Probe."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        first, more = ([check_at(row, desk, desk.trial) for row in it] for it in (ACCESS, UPLOADS))
        self._probe = ObjectProbe(desk.trial, first=first, more=more)

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        return [_without_warnings(check) for check in self._probe.checks()]

    def close(self) -> None:
        """See Probe."""
        try:
            self._probe.close()
        finally:
            self._desk.close()


def _without_warnings(check: Check) -> Check:
    """Silence the client's warnings during a check: its finding says the same."""

    def run() -> Finding:
        logger = logging.getLogger(S3Client.__module__)
        before, logger.disabled = logger.disabled, True
        try:
            return check.run()
        finally:
            logger.disabled = before

    return replace(check, run=run)
