"""A config that is damaged is refused with the place of the damage, which says whom to ask."""

from __future__ import annotations

import pytest

from cachexport import CacheChains
from cachexport.errors import WireFormat


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ("7", ""),
        ('{"layers":7}', "layers"),
        ('{"layers":[7]}', "layers[0]"),
        ('{"layers":[{},{"blob":7}]}', "layers[1].blob"),
        ('{"layers":[{"parent":"x"}]}', "layers[0].parent"),
        ('{"layers":[{"annotations":7}]}', "layers[0].annotations"),
        ('{"layers":[{"annotations":{"mediaType":7}}]}', "layers[0].annotations.mediaType"),
        ('{"layers":[{"annotations":{"diffID":7}}]}', "layers[0].annotations.diffID"),
        ('{"layers":[{"annotations":{"size":"x"}}]}', "layers[0].annotations.size"),
        ('{"layers":[{"annotations":{"createdAt":7}}]}', "layers[0].annotations.createdAt"),
        ('{"records":7}', "records"),
        ('{"records":[7]}', "records[0]"),
        ('{"records":[{},{"digest":7}]}', "records[1].digest"),
        ('{"records":[{"layers":7}]}', "records[0].layers"),
        ('{"records":[{"layers":[7]}]}', "records[0].layers[0]"),
        ('{"records":[{"layers":[{"layer":"x"}]}]}', "records[0].layers[0].layer"),
        ('{"records":[{"layers":[{"createdAt":7}]}]}', "records[0].layers[0].createdAt"),
        ('{"records":[{"chains":7}]}', "records[0].chains"),
        ('{"records":[{"chains":[7]}]}', "records[0].chains[0]"),
        ('{"records":[{"chains":[{"layers":7}]}]}', "records[0].chains[0].layers"),
        ('{"records":[{"chains":[{"layers":[0,"x"]}]}]}', "records[0].chains[0].layers[1]"),
        ('{"records":[{"inputs":7}]}', "records[0].inputs"),
        ('{"records":[{"inputs":[[],7]}]}', "records[0].inputs[1]"),
        ('{"records":[{"inputs":[[7]]}]}', "records[0].inputs[0][0]"),
        ('{"records":[{"inputs":[[{"selector":7}]]}]}', "records[0].inputs[0][0].selector"),
        ('{"records":[{"inputs":[[{"link":"x"}]]}]}', "records[0].inputs[0][0].link"),
    ],
)
def test_what_has_the_wrong_type_is_named_by_its_path(config: str, path: str) -> None:
    with pytest.raises(WireFormat, match=r"wants an? ") as raised:
        CacheChains.parse(config.encode(), [])
    assert raised.value.path == path


def test_what_is_no_time_is_shown_and_named_by_its_path() -> None:
    config = b'{"records":[{"layers":[{"createdAt":"yesterday"}]}]}'
    with pytest.raises(WireFormat, match="not a time: 'yesterday'") as raised:
        CacheChains.parse(config, [])
    assert raised.value.path == "records[0].layers[0].createdAt"
