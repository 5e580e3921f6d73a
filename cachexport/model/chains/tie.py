"""The tie: a record that depends on every end of a merged graph, so that BuildKit imports it whole.

BuildKit imports a config leaf by leaf (`addItemToStorage` of its cachestorage.go, commit 73ed682).
It does not link what an earlier leaf has stored again for a later leaf, so a config with several
leaves that share records loses links, and with them hits. With the tie there is one leaf, and
nothing is lost. The tie has no results, and no build looks up its digest. It is always the last
record, so removing it changes no number.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cachexport.model.config.model import CacheInput, CacheRecord
from cachexport.oci.digest import Digest

if TYPE_CHECKING:
    from cachexport.model.config.model import CacheConfig

TIE = Digest.of(b"cachexport: depends on every end of a merged cache")
"""The digest of the tie."""


def is_tied(config: CacheConfig) -> bool:
    """Say whether a config has a tie."""
    return bool(config.records) and config.records[-1].digest == TIE


def untied(config: CacheConfig) -> CacheConfig:
    """Give the config without its tie."""
    return replace(config, records=config.records[:-1]) if is_tied(config) else config


def tie_ends(config: CacheConfig) -> CacheConfig:
    """Give the config with a tie, if it has more than one leaf."""
    linked = {link.link for record in config.records for links in record.inputs for link in links}
    ends = [number for number in range(len(config.records)) if number not in linked]
    if len(ends) < 2:
        return config
    tie = CacheRecord(digest=TIE, inputs=tuple((CacheInput(link=end),) for end in ends))
    return replace(config, records=(*config.records, tie))
