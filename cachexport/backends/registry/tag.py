"""A tag: the manifest that it names, and giving it to another while others do the same."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from cachexport.content.clock import clock
from cachexport.content.parallel import soon
from cachexport.errors import BackendError, NotFound, Outdated, RegistryError
from cachexport.model.envelope.manifest import Form

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachexport.backends.registry.repository import Repository
    from cachexport.model.envelope.cache import WrappedCache
    from cachexport.oci.descriptor import Descriptor

_log = logging.getLogger(__name__)
_FORM_REFUSED = frozenset({400, 415, 422})
"""Statuses with which registries refuse a manifest because of its form."""
_SHORTEST_DOUBT = 0.2
"""Seconds after which the tag is read again after a merge, at least and at most."""
_LONGEST_DOUBT = 5.0


class Tag:
    """A tag of a repository."""

    def __init__(self, repository: Repository, name: str) -> None:
        self._repository = repository
        self._name = name
        self._answer: Callable[[], Descriptor | None] | None = None

    def __str__(self) -> str:
        return f"{self._repository.place}:{self._name}"

    def ask(self) -> Descriptor | None:
        """Describe the manifest that it names now; None when there is none."""
        found = self._ask()
        self._answer = lambda: found
        return found

    def ask_soon(self) -> None:
        """Do as `ask` in the background; `known` waits for the answer."""
        self._answer = soon(self._ask)

    def known(self) -> Descriptor | None:
        """Give the answer of the last `ask` or `ask_soon`; without one, ask."""
        return self._answer() if self._answer else self.ask()

    def put(self, cache: WrappedCache, *, in_any_form: bool) -> WrappedCache:
        """Give the tag to a cache. With `in_any_form` another form is put if the first is refused.

        Gives the cache in the form that was put. Raises RegistryError when the registry refuses
        the manifest.
        """
        return self._put_over(None, cache, in_any_form=in_any_form)

    def replace(self, version: str, cache: WrappedCache, *, in_any_form: bool) -> WrappedCache:
        """Do as `put` if the tag still names the digest `version`, or nothing if that is empty.

        Registries have no conditional writes. So the tag is read before and after the write, and
        again after the time that a writer as slow as this one would take; a slower one can still
        write over it. Raises Outdated when somebody else wrote.
        """
        started = clock().monotonic()
        self._expect(version)
        published = self._put_over(version, cache, in_any_form=in_any_form)
        written = published.wrapped.descriptor.digest
        self._expect(written)
        doubt = 3 * (clock().monotonic() - started)
        clock().sleep(min(max(doubt, _SHORTEST_DOUBT), _LONGEST_DOUBT))
        self._expect(written)
        return published

    def _ask(self) -> Descriptor | None:
        try:
            return self._repository.resolve(self._name)
        except NotFound:
            return None

    def _put_over(
        self, version: str | None, cache: WrappedCache, *, in_any_form: bool
    ) -> WrappedCache:
        """Do as `put`, without a retry once the tag names another digest than `version`."""
        try:
            self._put(cache, version)
        except RegistryError as error:
            if error.status not in _FORM_REFUSED or not in_any_form:
                raise
            return self._put_in_other_form(cache, version, error)
        return cache

    def _put(self, cache: WrappedCache, version: str | None) -> None:
        wrapped = cache.wrapped
        # A retry after a pause would write over what others wrote meanwhile. If only the answer
        # was lost, the tag names our own manifest.
        ours = wrapped.descriptor.digest
        check = None if version is None else partial(self._expect, version, ours)
        try:
            self._repository.put_manifest(
                self._name, wrapped.manifest, wrapped.form.media_type, check
            )
        except NotFound as error:
            # To a caller NotFound means that there is no cache to read.
            raise BackendError(str(error), op="write the manifest") from error

    def _put_in_other_form(
        self, cache: WrappedCache, version: str | None, refusal: RegistryError
    ) -> WrappedCache:
        other = cache.in_form(_other(cache.wrapped.form))
        self._put(other, version)
        _log.warning(
            "%s refused the form %s and took %s instead: %s",
            self._repository.place,
            cache.wrapped.form,
            other.wrapped.form,
            "; ".join(refusal.diagnostics) or refusal.status,
        )
        return other

    def _expect(self, *versions: str) -> None:
        found = self.ask()
        if (found.digest if found else "") not in versions:
            raise Outdated(f"somebody else wrote {self} meanwhile")


def _other(form: Form) -> Form:
    return Form.OCI_INDEX if form is Form.IMAGE_MANIFEST else Form.IMAGE_MANIFEST
