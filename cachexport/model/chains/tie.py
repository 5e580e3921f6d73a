"""A record that ties the ends of a merged graph together, for BuildKit's sake.

BuildKit imports a config leaf by leaf (`addItemToStorage` of its cachestorage.go, commit 73ed682):
what an earlier leaf has stored is not linked again for a later one, so a config with several ends
that share records loses links, and with them hits. With one record that depends on every end
there is one leaf, and nothing is lost. It has no results, and nothing is ever looked up under its
digest. It is always the last record, so no number changes where it is left out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.model.config.model import CacheInput, CacheRecord
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.model.config.model import CacheConfig

TIE = Digest.of(b"cachexport: depends on every end of a merged cache")
"""The digest of the record."""


def is_tied(config: CacheConfig) -> bool:
    """Say whether a config has such a record."""
    return bool(config.records) and config.records[-1].digest == TIE


def untied(config: CacheConfig) -> CacheConfig:
    """Give the config without such a record."""
    return replace(config, records=config.records[:-1]) if is_tied(config) else config


def tie_ends(config: CacheConfig) -> CacheConfig:
    """Give the config with such a record as its last one, if it has more than one end."""
    linked = {link.link for record in config.records for links in record.inputs for link in links}
    ends = [number for number in range(len(config.records)) if number not in linked]
    if len(ends) < 2:
        return config
    tie = CacheRecord(digest=TIE, inputs=tuple((CacheInput(link=end),) for end in ends))
    return replace(config, records=(*config.records, tie))
