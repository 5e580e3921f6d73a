"""What the suites need to know about a backend, and the base of all suites."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    export_cache,
)
from cachexport.api.names import (
    list_names,
)
from cachexport.contract.opening import (
    open_place,
    open_source,
    open_targets,
)
from cachexport.contract.place import Sweepable
from cachexport.testing.samples import small_chains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cachexport.contract.backend import Source, Target
    from cachexport.contract.place import Place
    from cachexport.oci.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """A fresh, empty place for one test, in which nobody else writes."""

    spec: Callable[[str], str]
    """Gives the SPEC of a name, for reading and for writing."""
    swaps: bool
    """Whether names are written conditionally, so that merges at the same time lose nothing."""
    sweeps: bool
    """Whether blobs can be listed, touched and deleted there: its place is `Sweepable`."""
    prunes: bool = True
    """Whether a prune works there, if only for names; else it is refused."""
    keeps_forms: bool = True
    """Whether a cache comes back in the form it had; else it comes as an image manifest."""
    no_grace: str = ""
    """Attributes with which a prune deletes blobs of any age, such as `touch_refresh=0s`."""
    put_foreign: Callable[[str], None] | None = None
    """Writes something else than a cache under a name; None where that cannot be."""
    lose: Callable[[Digest], None] | None = None
    """Deletes a blob behind the backend's back; None to delete it as a sweep does."""

    def with_attrs(self, name: str, attrs: str) -> str:
        """Give the SPEC of a name with further attributes, if any."""
        return self.spec(name) + (attrs and f",{attrs}")

    def put(self, name: str, *numbers: int, seconds: int = 0, attrs: str = "") -> None:
        """Export a small cache of numbered layers; see `small_chains`."""
        assert export_cache(small_chains(*numbers, seconds=seconds), self.with_attrs(name, attrs))

    def names(self) -> list[str]:
        """List the names that are there, sorted."""
        return sorted(item.name for item in list_names(self.spec("any")))

    @contextmanager
    def source(self, name: str) -> Iterator[Source]:
        """Open a name to read it."""
        with closing(open_source(self.spec(name))) as source:
            yield source

    @contextmanager
    def target(self, name: str, attrs: str = "") -> Iterator[Target]:
        """Open a name to write it."""
        [(_, target)] = open_targets(self.with_attrs(name, attrs))
        with closing(target):
            yield target

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Open the place as a whole."""
        with closing(open_place(self.spec("any"))) as place:
            yield place

    def take_away(self, digest: Digest) -> bool:
        """Delete a blob, and say whether that was possible here."""
        if self.lose is not None:
            self.lose(digest)
            return True
        with self.place() as place:
            if not isinstance(place, Sweepable):
                return False
            place.delete([digest])
        return True


class Suite:
    """Tests of a backend. A subclass gives the fixture `harness`, and may have more tests."""

    @pytest.fixture
    def harness(self) -> Harness:
        """Give a fresh and empty place; each test asks once."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `harness`")
