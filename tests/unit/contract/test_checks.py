import pytest

from cachexport.contract.checks import Check, Finding, Outcome, Row, failed, note, ok, warning
from cachexport.errors import BackendError

REFUSED = BackendError("refused", op="write")


def found(finding: Finding, *, optional: bool = False) -> Finding:
    row = Row[str]("one", lambda desk: finding, optional=optional, advice="of the table")
    return row.at("desk").run()


def test_a_row_becomes_the_check_of_one_desk() -> None:
    row = Row[str]("two", lambda desk: ok(f"asked at the {desk}"), needs=("one",), writes=True)
    check = row.at("desk")
    assert check == Check(name="two", run=check.run, needs=("one",), writes=True)
    assert check.run() == ok("asked at the desk")


@pytest.mark.parametrize("finding", [warning("slow"), failed(REFUSED)])
def test_a_bad_finding_without_advice_has_that_of_the_table(finding: Finding) -> None:
    assert found(finding).advice == "of the table"
    assert (found(finding).outcome, found(finding).text) == (finding.outcome, finding.text)


@pytest.mark.parametrize("finding", [warning("slow", "its own"), ok("fine"), note("there")])
def test_any_other_finding_stays_as_it_is(finding: Finding) -> None:
    assert found(finding) == finding


@pytest.mark.parametrize("optional", [True, False])
def test_an_error_is_a_warning_where_one_can_do_without(*, optional: bool) -> None:
    def ask(desk: str) -> Finding:
        raise REFUSED

    check = Row[str]("one", ask, optional=optional, advice="of the table").at("desk")
    if optional:
        assert check.run() == Finding(outcome=Outcome.WARNING, text="refused")
    else:
        with pytest.raises(BackendError, match="refused"):
            check.run()
