"""What Azure's and its SDK's failures mean."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from azure.core import exceptions as azure

from cachexport.errors import Auth, BackendError, CachexportError, NotFound, Outdated

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_CONTAINER = "ContainerNotFound"
BLOCKS_LOST = "InvalidBlockList"
ABSENT = frozenset({"BlobNotFound", NO_CONTAINER, "ResourceNotFound"})
OUTDATED = frozenset({"ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists"})
TEMPORARY = frozenset(
    {
        "ServerBusy",
        "OperationTimedOut",
        "InternalError",
        "ContainerBeingDeleted",
        "AccountBeingCreated",
        BLOCKS_LOST,
    }
)
_TEMPORARY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_NO_AZURE = "what answers does not speak as Azure does; check account_url="
_CONTRIBUTOR = "the login needs the role Storage Blob Data Contributor on the container"
_READER = "the login needs the role Storage Blob Data Reader on the container"
_READING = frozenset({"head", "read", "list"})
DENIED = {
    "AuthenticationFailed": "the key does not fit the account; check secret_access_key= and "
    "account_name=",
    "AuthorizationFailure": "the account's network rules do not allow it, or the key does not fit; "
    "check secret_access_key=",
    "AuthorizationPermissionMismatch": "",
    "AuthorizationProtocolMismatch": "the account wants https; check account_url=",
    "AuthorizationServiceMismatch": "",
    "AuthorizationResourceTypeMismatch": "",
    "AuthorizationSourceIPMismatch": "the account does not allow it from this address",
    "InsufficientAccountPermissions": "",
    "InvalidAuthenticationInfo": "check secret_access_key= and account_name=",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys; leave out secret_access_key=",
    "NoAuthenticationInformation": "there was no login",
    "PublicAccessNotPermitted": "there was no login",
    "AccountIsDisabled": "the account is disabled",
}
"""Codes of refusals, with what to do; empty where it is a role that is missing."""
HINTS = {
    "": "that is not Azure's word; check account_url=",
    "InvalidResourceName": "check container=, prefix= and name=",
    "InvalidUri": "check container=, prefix= and name=",
    "OutOfRangeInput": "check container=, prefix= and name=",
    "RequestBodyTooLarge": "set a smaller part_size=",
    "BlockCountExceedsLimit": "set a larger part_size=",
    "BlockListTooLong": "set a larger part_size=",
    "BlobArchived": "the blob is archived and has to be rehydrated first",
    "BlobImmutableDueToPolicy": "a policy of the container keeps it from changing",
    "LeaseIdMissing": "somebody holds a lease on it; break the lease",
    "SnapshotsPresent": "it has snapshots; delete them first",
    "UnsupportedHeader": "the server is older than the SDK",
    "ResourceTypeMismatch": "it is no block blob; choose another name or container",
    "InvalidBlobType": "it is no block blob; choose another name or container",
}

_BROKEN = (azure.ServiceResponseError, azure.IncompleteReadError)


@contextmanager
def translated(op: str, where: str, *, retried: bool = True) -> Iterator[None]:
    """Turn failures of the SDK in a block into ours; `op` and `where` say what was tried with what.

    What is `retried` by the SDK itself has its retries used up when it fails: nobody is to
    multiply them. No text of the server gets into a message but
    its code.
    """
    try:
        yield
    except azure.AzureError as error:
        is_answer = isinstance(error, azure.HttpResponseError) and error.status_code
        exhausted = retried and not _is_lost(error)
        tell = refusal if is_answer else failure
        raise tell(op, where, error, exhausted=exhausted) from error
    except CachexportError:
        raise
    except ValueError as error:
        raise BackendError(f"{where}: cannot {op}: {_NO_AZURE}", op=op) from error


def code_of(error: azure.HttpResponseError) -> str:
    """Give Azure's own word for a failure; empty when there is none."""
    code = getattr(error, "error_code", None)
    if not code and error.response is not None:
        code = error.response.headers.get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


def refusal(
    op: str, where: str, error: azure.HttpResponseError, *, exhausted: bool = False
) -> CachexportError:
    """Give the error for an answer that is one."""
    code, status = code_of(error), error.status_code or 0
    message = f"{where}: cannot {op}: the server answered {status} {code}".rstrip()
    if code in ABSENT or (status == 404 and not code and op in ("head", "touch")):
        return NotFound(f"{where} is not there")
    if code in OUTDATED or (status == 412 and not code):
        return Outdated(f"{where}: somebody else wrote it meanwhile")
    if code in DENIED or status in (401, 403):
        role = _READER if op in _READING else _CONTRIBUTOR
        return Auth(f"{message}; {DENIED.get(code) or role}", op=op)
    temporary = code in TEMPORARY or status in _TEMPORARY_STATUSES
    hint = "" if temporary else HINTS.get(code, "")
    text = f"{message}; {hint}" if hint else message
    return BackendError(text, op=op, temporary=temporary, exhausted=exhausted)


def failure(
    op: str, where: str, error: azure.AzureError, *, exhausted: bool = False
) -> CachexportError:
    """Give the error for what went wrong without an answer."""
    message = f"{where}: cannot {op}: "
    cause = type(error).__name__
    if isinstance(error, azure.ClientAuthenticationError):
        hint = "there is no login; set secret_access_key=, or log in with `az login`"
        return Auth(message + hint, op=op)
    if isinstance(error, azure.ServiceRequestError):
        hint = "nothing answers there; check account_url="
        return BackendError(message + hint, op=op, temporary=True, exhausted=exhausted)
    if isinstance(error, _BROKEN) or type(error) is azure.HttpResponseError:
        reason = f"the connection broke ({cause})"
        return BackendError(message + reason, op=op, temporary=True, exhausted=exhausted)
    if isinstance(error, azure.DecodeError):
        return BackendError(message + _NO_AZURE, op=op)
    return BackendError(message + cause, op=op)


def _is_lost(error: azure.AzureError) -> bool:
    """Tell whether the SDK cannot try this again itself: all has to be sent anew."""
    return isinstance(error, azure.HttpResponseError) and code_of(error) == BLOCKS_LOST
