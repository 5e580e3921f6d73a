"""The gateway that a command speaks to."""

from __future__ import annotations

from unit.gateway.conftest import start as start
