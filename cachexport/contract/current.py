"""What a target's name stands for before it is written."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.errors import Integrity, NotFound, WireFormat

if TYPE_CHECKING:
    from cachexport.content.protocols import Provider
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Current:
    """What a name stands for at one moment."""

    caches: tuple[Cache, ...] = ()
    version: str = ""
    """Tells it from everything else that the name may stand for; empty when that is nothing."""


def read_current(provider: Provider, desc: Descriptor) -> Current:
    """Read the caches of the manifest that a name stands for; its digest is the version.

    A name whose manifest is gone is as good as nothing. Raises Integrity or WireFormat for one
    that is damaged: it may hold what only a person can save.
    """
    from cachexport.contract.reading import read_caches

    try:
        return Current(read_caches(provider, desc), desc.digest)
    except NotFound as error:
        _log.warning("replacing a name that leads nowhere: %s", error)
        return Current(version=desc.digest)
    except (Integrity, WireFormat) as error:
        error.add_note("nothing can be merged into that; without merge=true it is replaced")
        raise
