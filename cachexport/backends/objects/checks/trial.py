"""What the checks of a store write there: under names of their own, and with bytes of their own."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from cachexport.contract.checks import warning
from cachexport.errors import Auth, CachexportError, NotFound
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


@dataclass(slots=True, kw_only=True)
class Facts:
    """What earlier checks have found out for later ones."""

    may_delete: bool = False
    """Whether something was deleted, so that other things can be."""
    is_conditional: bool = False
    """Whether a write fails where somebody else wrote meanwhile."""


@dataclass(kw_only=True)
class Trial:
    """The store that all checks ask, and what they have written there.

    `names` are the caches that an export would write, or a source reads; `digest` is the manifest
    that a source reads instead. Both are only read. `advise` says what to do about an error, as an
    attribute or a permission; it gives "" where it knows nothing. `erase` deletes a key for good;
    without it the client's `delete` does.
    """

    blobs: Blobs
    names: tuple[str, ...]
    digest: Digest | None = None
    force: bool = False
    advise: Callable[[CachexportError], str] = lambda error: ""
    erase: Callable[[str], None] | None = None
    name: str = field(default_factory=lambda: f"cachexport-doctor-{secrets.token_hex(8)}")
    blob: bytes = field(default_factory=lambda: secrets.token_bytes(1024), repr=False)
    keys: list[str] = field(default_factory=list)
    """Keys that were written and are not known to be gone."""
    facts: Facts = field(default_factory=Facts)
    is_clean: bool = False
    """Whether `remove` has run: what is left in `keys` cannot be deleted."""
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
        """Drop a key of which it is certain that nothing was written under it."""
        self.keys.remove(key)

    def content(self) -> bytes:
        """Give the bytes of a name, different each time; readers see an empty cache."""
        return next(self._contents)

    def is_gone(self, key: str) -> bool:
        """Tell whether an object is gone, of which the caller was allowed a description before."""
        try:
            self.client.head(key)
        except (NotFound, Auth):
            # Some stores answer so for a missing object where the login may not list.
            return True
        return False

    def limited(self, error: CachexportError, consequence: str) -> Finding:
        """Find that something does not work, and say what comes of it."""
        return warning(f"{error}: {consequence}", self.advise(error))

    def remove(self) -> list[CachexportError]:
        """Delete what was written, and give the errors; `keys` has what stays."""
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
                break  # a store that cannot be reached would cost a timeout for each key
        self.is_clean = True
        return errors

    def left(self) -> str:
        """List what is left, for a line of text."""
        return ", ".join(f"{self.client.place}/{key}" for key in self.keys)

    def close(self) -> None:
        """Delete what an interrupted run of checks has left; raises no CachexportError."""
        if not self.keys or self.is_clean:
            return
        for error in self.remove():
            _log.info("cannot remove what was tried: %s", error)
        if self.keys:
            _log.warning("left there: %s; delete it", self.left())
