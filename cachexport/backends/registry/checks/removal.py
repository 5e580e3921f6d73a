"""Removing what was written, which is a check as well: old caches are removed in the same way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cachexport.backends.registry.checks.desk import Role
from cachexport.backends.registry.repository import HOW_TO_DELETE
from cachexport.contract.checks import note, ok, skipped, warning
from cachexport.errors import Auth, CachexportError, NotFound

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import Desk
    from cachexport.contract.checks import Fact, Finding

_log = logging.getLogger(__name__)


class Removing:
    """The last checks. All that they delete has bytes that nobody else has."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def delete(self) -> Finding:
        """See whether manifests can be deleted by their digests."""
        if not self._desk.manifests:
            return skipped("there is no manifest to delete")
        for digest in list(self._desk.manifests):
            reply = self._desk.delete("manifests", digest)
            if digest in self._desk.manifests:
                return warning(
                    f"manifests cannot be deleted ({reply.told}): old caches stay",
                    self._advice(reply.status),
                    status=reply.status,
                )
        self._desk.may_delete = True
        return ok("manifests can be deleted by digest", status=reply.status)

    def clean_up(self) -> Finding:
        """Delete what is left, and say what cannot be."""
        tag = self._remove()
        blobs, manifests = len(self._desk.blobs), len(self._desk.manifests)
        facts: dict[str, Fact] = {
            "left_tag": tag or None,
            "left_manifests": manifests,
            "left_blobs": blobs,
        }
        if tag:
            advice = "remove that tag in the registry's own way; it cannot be done from here"
            return warning(f"{self._desk.place}:{tag} is left", advice, **facts)
        if manifests or blobs:
            text = f"{manifests} manifests and {blobs} blobs, all small, are left without a tag"
            return note(f"{text}: garbage collection takes them", "", **facts)
        return ok("nothing is left", **facts)

    def close(self) -> None:
        """Delete what is left because the checks were not run to their end; never raises."""
        if not (self._desk.manifests or self._desk.blobs) or self._desk.is_clean:
            return
        try:
            tag = self._remove()
        except CachexportError as error:
            tag = self._desk.tag if self._desk.manifests else ""
            _log.info("cannot remove what was tried: %s", error)
        if tag:
            _log.warning("%s:%s is left there; remove it", self._desk.place, tag)

    def _advice(self, status: int) -> str:
        if status in (401, 403):
            return f"docker login {self._desk.reference.host} as somebody who may delete"
        return HOW_TO_DELETE

    def _remove(self) -> str:
        """Delete all that can be, and give the tag if it is still there."""
        self._desk.is_clean = True
        self._delete_all()
        # Some registries delete a tag by its name only.
        if self._is_tagged():
            self._desk.delete_tag()
        return self._desk.tag if self._is_tagged() else ""

    def _delete_all(self) -> None:
        for kind, digests in (("manifests", self._desk.manifests), ("blobs", self._desk.blobs)):
            for digest in list(digests):
                try:
                    self._desk.delete(kind, digest)
                except Auth:
                    return
                if digest in digests:
                    break  # what one is refused for the others are too

    def _is_tagged(self) -> bool:
        try:
            self._desk.repository(Role.READER).resolve(self._desk.tag)
        except NotFound:
            return False
        return True
