"""What `doctor` finds at a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cachexport.contract.checks import Finding, Outcome
from cachexport.doctor.engine import doctor
from cachexport.gateway.http.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from unit.gateway.conftest import Gateway


def found(gateway: Gateway) -> dict[str, Finding]:
    diagnosis = doctor(f"{gateway.host}/app:cache")
    assert diagnosis.exit_code == 0
    return {result.check: result.finding for result in diagnosis.results}


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"merge": True}, "is merged with"), ({"forms": ("docker-list",)}, "in another form")],
)
def test_a_gateway_that_changes_what_is_pushed(
    start: Callable[..., Gateway], settings: dict[str, Any], said: str
) -> None:
    gateway = start(access=Access(may_delete=True), **settings)
    checks = found(gateway)
    assert checks["read-back"].outcome is Outcome.OK
    assert said in checks["read-back"].text
    assert checks["delete"].outcome is Outcome.OK
    assert checks["clean-up"].facts["left_tag"] is None
    assert gateway.ask("GET", "/v2/app/tags/list").status == 404


def test_a_gateway_that_deletes_nothing(gateway: Gateway) -> None:
    checks = found(gateway)
    assert "digests are equal" in checks["read-back"].text
    assert checks["delete"].outcome is Outcome.WARNING
    assert "cachexport serve: --allow-delete" in checks["delete"].advice
