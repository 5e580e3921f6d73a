"""Letting a place expire what is old by itself, without breaking what it keeps.

A backend whose places can is `Expiring`. That is optional, so it is no part of `Backend`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from cachexport.contract.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a place is to expire."""

    document: dict[str, Any]
    """The rules as the place's own tools take them."""
    name_days: int
    """Days after which a name goes that was not written."""
    blob_days: int
    """Days after which a blob goes that was neither written nor touched."""


class Expiry(Protocol):
    """The rules of one place."""

    def rules(self, days: int, /) -> Rules:
        """Make the rules that let names go after so many days. Asks nothing.

        Raises FailedPrecondition where no rule tells names from blobs.
        """

    def apply(self, rules: Rules, /) -> Rules:
        """Have the place go by these rules; its other ones stay. Gives what it goes by then.

        Raises Auth or BackendError.
        """

    def close(self) -> None:
        """Free what is held; twice is fine."""


@runtime_checkable
class Expiring(Protocol):
    """A Backend whose places can expire things."""

    def expiry(self, spec: Spec, /) -> Expiry:
        """Read the attributes of a `--cache-to` or `--cache-from`. Raises InvalidAttr."""
