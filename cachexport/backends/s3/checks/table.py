"""The checks of a bucket, in their order."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.backends.objects.checks.table import ObjectProbe, needing_write
from cachexport.backends.objects.checks.trial import Trial
from cachexport.backends.objects.layout import Blobs
from cachexport.backends.s3.checks.access import Login, Reaching
from cachexport.backends.s3.checks.advice import Advice
from cachexport.backends.s3.checks.desk import ATTEMPTS
from cachexport.backends.s3.checks.uploads import Uploading
from cachexport.backends.s3.client import S3Client
from cachexport.contract.checks import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cachexport.backends.objects.layout import Keys
    from cachexport.backends.s3.attrs import S3Export, S3Import
    from cachexport.backends.s3.checks.desk import Desk
    from cachexport.contract.checks import Finding

_log = logging.getLogger(__name__)


class S3Probe:
    """A Probe over a bucket; see Probe. Nothing can be written where `attrs` have a digest."""

    def __init__(self, desk: Desk, attrs: S3Export | S3Import, keys: Keys) -> None:
        self._desk = desk
        self._advice = Advice(attrs, desk.writing)
        trial = _trial(desk, attrs, keys, self._advice)
        self._uploading = Uploading(desk, trial, self._advice)
        trial.erase = self._uploading.erase
        self._probe = ObjectProbe(
            trial, first=tuple(self._reaching(trial)), more=tuple(self._writing(trial))
        )

    def checks(self) -> Sequence[Check]:
        """See Probe."""
        return [_without_warnings(check) for check in self._probe.checks()]

    def close(self) -> None:
        """See Probe."""
        try:
            for error in self._uploading.close():
                _log.warning("parts of an upload are left: %s", error)
            self._probe.close()
        finally:
            self._desk.close()

    def _reaching(self, trial: Trial) -> Iterator[Check]:
        reaching, login = Reaching(self._desk), Login(self._desk, self._advice)

        def check(name: str, run: Callable[[], Finding], *needs: str) -> Check:
            return Check(name=name, run=trial.strictly(run), needs=needs)

        yield check("reach", reaching.reach)
        yield check("clock", reaching.clock, "reach")
        yield check("region", reaching.region, "reach")
        yield check("login", login.login, "reach")
        yield check("style", login.style, "login")
        yield check("bucket", login.bucket, "login")

    def _writing(self, trial: Trial) -> Iterator[Check]:
        uploading = self._uploading
        yield needing_write("parts", trial.strictly(uploading.parts))
        yield needing_write("abort", trial.mildly(uploading.abort))
        yield needing_write("copy-parts", trial.mildly(uploading.copy_parts), "parts")
        yield needing_write("checksums", trial.mildly(uploading.checksums))
        yield needing_write("versions", trial.mildly(uploading.versions))


def _trial(desk: Desk, attrs: S3Export | S3Import, keys: Keys, advice: Advice) -> Trial:
    hasty = replace(attrs, retry_max_attempts=min(ATTEMPTS, attrs.retry_max_attempts))
    client = S3Client(lambda: desk.s3, desk.bucket, hasty, desk.writing)
    blobs = Blobs(client=client, keys=keys)
    touch_refresh = getattr(attrs, "touch_refresh", blobs.touch_refresh)
    return Trial(
        blobs=replace(blobs, touch_refresh=touch_refresh, now=desk.now),
        names=attrs.name,
        digest=getattr(attrs, "digest", None),
        force=getattr(attrs, "force", False),
        advise=advice,
    )


def _without_warnings(check: Check) -> Check:
    """Have a check say by its finding alone what the client warns of."""

    def run() -> Finding:
        logger = logging.getLogger(S3Client.__module__)
        before, logger.disabled = logger.disabled, True
        try:
            return check.run()
        finally:
            logger.disabled = before

    return replace(check, run=run)
