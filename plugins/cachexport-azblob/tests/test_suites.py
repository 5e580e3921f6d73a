"""What every backend must do, on a real Azurite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cachexport_azblob.attrs import AzblobExport
from cachexport_azblob.client import AzblobClient
from cachexport_azblob.connect import checked, connect

from cachexport.plugin import Spec, read_attributes
from cachexport.testing import BackendSuite, Harness, ObjectClientSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azurite import Azurite


class TestAzblob(BackendSuite):
    @pytest.fixture
    def harness(self, azurite: Azurite, container: str) -> Harness:
        def put_foreign(name: str) -> None:
            azurite.service.create_container(container)
            azurite.put(container, f"team/manifests/{name}", b'{"some":"thing"}')

        return Harness(
            spec=lambda name: azurite.spec(container, f"prefix=team,name={name}"),
            swaps=True,
            sweeps=True,
            no_grace="touch_refresh=0s",
            put_foreign=put_foreign,
        )


class TestAzblobClient(ObjectClientSuite):
    page_size = 5

    @pytest.fixture
    def client(self, azurite: Azurite, container: str) -> Iterator[AzblobClient]:
        given = dict(word.split("=", 1) for word in azurite.spec(container).split(",")[1:])
        attrs = checked(read_attributes(AzblobExport, Spec("azblob", given)))
        client = AzblobClient(lambda: connect(attrs), attrs, 8 << 20, self.page_size)
        yield client
        client.close()
