from __future__ import annotations

import pytest
from cli.commands import InProcess


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(capsys)
