"""Every failure of Azure and of its SDK is one of ours, and says what to do."""

from __future__ import annotations

import pytest
from azure.core import exceptions as azure
from azure.identity import CredentialUnavailableError
from cachexport_azblob.errors import ABSENT, DENIED, HINTS, OUTDATED, TEMPORARY, translated

from cachexport.errors import Auth, BackendError, CachexportError, NotFound, Outdated

WHERE = "azblob://host/box/blobs/one"


def refused(
    code: str, status: int, kind: type[azure.HttpResponseError] = azure.HttpResponseError
) -> azure.HttpResponseError:
    error = kind(message="CONFIDENTIAL, as servers repeat what they were asked")
    error.status_code = status
    error.error_code = code  # type: ignore[attr-defined]
    return error


def told(error: Exception, op: str = "write", *, retried: bool = True) -> CachexportError:
    with pytest.raises(CachexportError) as raised, translated(op, WHERE, retried=retried):
        raise error
    assert raised.value.__cause__ is error
    assert WHERE in str(raised.value)
    assert "CONFIDENTIAL" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("code", sorted(ABSENT))
def test_what_is_not_there(code: str) -> None:
    assert type(told(refused(code, 404))) is NotFound


@pytest.mark.parametrize("code", sorted(OUTDATED))
def test_what_somebody_else_wrote(code: str) -> None:
    assert type(told(refused(code, 412))) is Outdated


@pytest.mark.parametrize("code", sorted(DENIED))
@pytest.mark.parametrize(("op", "role"), [("read", "Reader"), ("write", "Contributor")])
def test_who_is_refused(code: str, op: str, role: str) -> None:
    error = told(refused(code, 403), op)
    assert type(error) is Auth
    assert code in str(error)
    assert (DENIED[code] or f"Storage Blob Data {role}") in str(error)


@pytest.mark.parametrize("code", sorted(TEMPORARY))
def test_what_passes(code: str) -> None:
    error = told(refused(code, 503), retried=False)
    assert isinstance(error, BackendError)
    assert error.temporary


@pytest.mark.parametrize("code", sorted(HINTS))
def test_what_can_be_done(code: str) -> None:
    error = told(refused(code, 409))
    assert type(error) is BackendError
    assert not error.temporary
    assert HINTS[code] in str(error)


def test_what_was_tried_often_enough_is_not_temporary() -> None:
    spent = told(refused("ServerBusy", 503))
    assert isinstance(spent, BackendError)
    assert not spent.temporary
    # The SDK tries no commit again of which the blocks are gone: all has to be sent anew.
    anew = told(refused("InvalidBlockList", 400))
    assert isinstance(anew, BackendError)
    assert anew.temporary


@pytest.mark.parametrize(
    ("error", "kind", "temporary", "said"),
    [
        (refused("", 404), BackendError, False, "not Azure's word"),
        (refused("", 412), Outdated, False, "somebody else"),
        (refused("", 500), BackendError, True, "answered 500"),
        (refused("", 401), Auth, False, "Contributor"),
        (azure.ServiceRequestError("x"), BackendError, True, "check account_url="),
        (azure.ServiceRequestTimeoutError("x"), BackendError, True, "check account_url="),
        (azure.ServiceResponseError("x"), BackendError, True, "connection broke"),
        (azure.ServiceResponseTimeoutError("x"), BackendError, True, "connection broke"),
        (azure.IncompleteReadError("x"), BackendError, True, "connection broke"),
        (azure.DecodeError("x"), BackendError, False, "does not speak as Azure does"),
        (azure.ClientAuthenticationError("x"), Auth, False, "az login"),
        (CredentialUnavailableError("x"), Auth, False, "az login"),
        (azure.TooManyRedirectsError([]), BackendError, False, "cannot write"),
        (ValueError("x"), BackendError, False, "does not speak as Azure does"),
    ],
)
def test_a_failure(
    error: Exception, kind: type[CachexportError], temporary: bool, said: str
) -> None:
    ours = told(error, retried=False)
    assert type(ours) is kind
    assert said in str(ours)
    assert getattr(ours, "temporary", False) is temporary


def test_a_bare_404_is_enough_where_there_is_no_body() -> None:
    assert type(told(refused("", 404), "head")) is NotFound


def test_errors_of_ours_stay_what_they_are() -> None:
    ours = NotFound("mine")
    with pytest.raises(NotFound) as raised, translated("read", WHERE):
        raise ours
    assert raised.value is ours
