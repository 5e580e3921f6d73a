"""What every backend must do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport.testing import BackendSuite, Harness

if TYPE_CHECKING:
    from github import GitHub

    from cachexport.plugin import Digest


class TestGha(BackendSuite):
    @pytest.fixture
    def harness(self, github: GitHub) -> Harness:
        def put_foreign(name: str) -> None:
            from cachexport_gha.keys import mark

            github.put(f"index-{name}-1-{mark('refs/heads/main')}#1", b'{"some":"thing"}')

        def lose(digest: Digest) -> None:
            github.lose(f"buildkit-blob-1-{digest}")

        return Harness(
            spec=lambda name: github.spec(f"scope={name}"),
            swaps=True,
            sweeps=True,
            keeps_forms=False,
            no_grace="touch_refresh=0s",
            put_foreign=put_foreign,
            lose=lose,
        )
