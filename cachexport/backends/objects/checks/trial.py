"""What the checks of a store write there: under names of their own, and with bytes of their own."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from cachexport.contract.checks import failed, warning
from cachexport.errors import Auth, BackendError, CachexportError, NotFound
from cachexport.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.backends.objects.client import ObjectClient
    from cachexport.backends.objects.layout import Blobs
    from cachexport.contract.checks import Finding
    from cachexport.oci.digest import Digest

_log = logging.getLogger(__name__)
_TRIES = 2
"""Failures, but for refused logins, after which nothing more is removed."""


@dataclass(kw_only=True)
class Trial:
    """A store that is tried, and what may be there of that.

    `names` are the caches that an export would write, or a source reads; `digest` is the manifest
    that a source reads instead. Both are only looked at. `advise` says what to do about an error,
    as an attribute or a permission, or nothing; `erase` deletes a key for good, and the client
    does where none is given.
    """

    blobs: Blobs
    names: tuple[str, ...]
    digest: Digest | None = None
    force: bool = False
    advise: Callable[[CachexportError], str] = lambda error: ""
    erase: Callable[[str], None] | None = None
    sleep: Callable[[float], None] = time.sleep
    name: str = field(default_factory=lambda: f"cachexport-doctor-{secrets.token_hex(8)}")
    blob: bytes = field(default_factory=lambda: secrets.token_bytes(1024), repr=False)
    keys: list[str] = field(default_factory=list)
    """Those that were written and are not known to be gone."""
    may_delete: bool = False
    """Whether something was deleted, so that other things can be."""
    is_clean: bool = False
    """Whether all has been removed that can be, and what is left has been told."""
    _contents: Iterator[bytes] = field(
        default_factory=lambda: (b"{}" + b"\n" * times for times in count()), repr=False
    )

    @property
    def client(self) -> ObjectClient:
        """The store."""
        return self.blobs.client

    @property
    def descriptor(self) -> Descriptor:
        """Names the blob."""
        return Descriptor.of(self.blob, "application/octet-stream")

    @property
    def blob_key(self) -> str:
        """Where the blob is written."""
        return self.blobs.keys.blob(self.descriptor.digest)

    @property
    def name_key(self) -> str:
        """Where names are written."""
        return self.blobs.keys.name(self.name)

    def own_key(self, key: str) -> str:
        """Remember a key that is about to be written, so that it is removed whatever happens."""
        if key not in self.keys:
            self.keys.append(key)
        return key

    def forget(self, key: str) -> None:
        """Remove the key from those that may be there: it surely is not."""
        self.keys.remove(key)

    def content(self) -> bytes:
        """Give the bytes of a name, others each time: an empty cache to whoever reads them."""
        return next(self._contents)

    def is_gone(self, key: str) -> bool:
        """Tell whether there is nothing under a key that could be described before."""
        try:
            self.client.head(key)
        except (NotFound, Auth):
            # Some stores say no more than that to those who may not list.
            return True
        return False

    def strictly(self, run: Callable[[], Finding]) -> Callable[[], Finding]:
        """Make a check of what exports or imports cannot do without: an error is a failure."""

        def checked() -> Finding:
            try:
                return run()
            except NotFound as error:
                # To a caller NotFound means that there is no cache to read.
                return failed(BackendError(str(error), op="reach"), self.advise(error))
            except BackendError as error:
                return failed(error, self.advise(error))

        return checked

    def mildly(self, run: Callable[[], Finding]) -> Callable[[], Finding]:
        """Make a check of what they can do without: an error is no more than a warning."""

        def checked() -> Finding:
            try:
                return run()
            except CachexportError as error:
                return warning(str(error), self.advise(error))

        return checked

    def limited(self, error: CachexportError, consequence: str, advice: str = "") -> Finding:
        """Find that something does not work, of which `consequence` is what comes."""
        return warning(f"{error}: {consequence}", self.advise(error) or advice)

    def remove(self) -> list[CachexportError]:
        """Delete what was written, and give what was in the way; what stays is in `keys`."""
        erase = self.erase or self.client.delete
        errors: list[CachexportError] = []
        for key in list(self.keys):
            try:
                erase(key)
                if self.is_gone(key):
                    self.keys.remove(key)
            except CachexportError as error:
                errors.append(error)
            if sum(not isinstance(error, Auth) for error in errors) >= _TRIES:
                break  # whoever cannot be reached would be waited for with each key
        self.is_clean = True
        return errors

    def left(self) -> str:
        """Say what is left, for a line of text."""
        return ", ".join(f"{self.client.place}/{key}" for key in self.keys)

    def close(self) -> None:
        """Delete what is left because the checks were not run to their end; never raises."""
        if not self.keys or self.is_clean:
            return
        for error in self.remove():
            _log.info("cannot remove what was tried: %s", error)
        if self.keys:
            _log.warning("left there: %s; delete it", self.left())
