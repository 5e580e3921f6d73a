"""Every error that cachexport raises, and the exit code that a command ends with for each.

The codes are those of BSD's sysexits.h. Errors of a file system, a server or a library stop at
the border of the code that met them: they go up as one of these with the original as their cause.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self, TypeVar

_E = TypeVar("_E", bound="CachexportError")


class CachexportError(Exception):
    """Base of all errors here; `exit_code` is what a command ends with."""

    exit_code: ClassVar[int] = 1


class InvalidInputError(CachexportError, ValueError):
    """What the caller gave cannot be right, whatever the state of the world."""

    exit_code = 2


class InvalidDigest(InvalidInputError):
    """A text that should be a digest is none."""


class InvalidReference(InvalidInputError):
    """A text that should name an image is no reference."""


class InvalidAttr(InvalidInputError):
    """An attribute of a cache specification is unknown, missing or has a bad value.

    `name` is the attribute.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class WireFormat(InvalidInputError):
    """Bytes that were read do not have the form they should have.

    `problem` says what is wrong, `path` where, as in `layers[1].blob`; it is empty when the
    whole is meant.
    """

    exit_code = 65

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path

    def __str__(self) -> str:
        return f"{self.problem} at {self.path}" if self.path else self.problem

    def under(self, prefix: str) -> WireFormat:
        """Give the same error, seen from the value that holds the faulty one at `prefix`."""
        dot = "." if self.path and not self.path.startswith("[") else ""
        return WireFormat(self.problem, f"{prefix}{dot}{self.path}").with_traceback(
            self.__traceback__
        )


class ChainError(CachexportError):
    """A graph of records that cannot be."""

    exit_code = 65


class Loop(ChainError):
    """A record or a layer depends on itself."""


class ForeignRecord(ChainError):
    """A link names a record of other chains, or none at all."""


class ContentError(CachexportError):
    """Content is not there, not whole or cannot be had."""

    exit_code = 70


class NotFound(ContentError, LookupError):
    """There is nothing under this name or digest."""

    exit_code = 66


class AlreadyExists(ContentError):
    """Something is there that must not be replaced."""

    exit_code = 73


class Integrity(ContentError):
    """Content does not have the digest or the size that it was asked for by."""


class FailedPrecondition(ContentError):
    """The state of things does not allow the operation."""


class Shared(FailedPrecondition):
    """Something cannot go alone: it is what others are too."""


class Conflict(ContentError):
    """Somebody else changed the same thing at the same time; trying again may help."""

    exit_code = 75


class Outdated(Conflict):
    """What was read before has changed since, so what was made of it has to be made again."""


class Unavailable(ContentError):
    """It cannot be had now; trying again later may help."""

    exit_code = 75


class BackendError(CachexportError):
    """A backend failed. `op` says at what."""

    exit_code = 74

    def __init__(
        self,
        message: str,
        *,
        op: str,
        temporary: bool = False,
        exhausted: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.op = op
        self.temporary = temporary and not exhausted
        """Whether another try may help."""
        self.exhausted = temporary and exhausted
        """Whether retries are used up; later the same request may succeed."""
        self.retry_after = retry_after
        """Seconds after which the other side wants the next try, if it told."""

    def exhausted_after(self, attempts: int) -> Self:
        """Give this error as it stands when the last of so many attempts ended with it."""
        error = _copy(self, attempts)
        error.temporary, error.exhausted = False, True
        return error


class Auth(BackendError):
    """A backend refused who is asking."""

    exit_code = 77


class RegistryError(BackendError):
    """A registry refused. `diagnostics` are its reasons, each a code and a message."""

    def __init__(
        self,
        message: str,
        *,
        op: str,
        status: int,
        diagnostics: tuple[str, ...] = (),
        temporary: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, op=op, temporary=temporary, retry_after=retry_after)
        self.status = status
        self.diagnostics = diagnostics


class S3Error(BackendError):
    """An S3 server refused. `code` is its own word for why, as in `NoSuchBucket`."""

    def __init__(
        self,
        message: str,
        *,
        op: str,
        code: str,
        temporary: bool = False,
        exhausted: bool = False,
    ) -> None:
        super().__init__(message, op=op, temporary=temporary, exhausted=exhausted)
        self.code = code


class PluginError(CachexportError):
    """A backend cannot be used."""

    exit_code = 69


class UnknownBackend(PluginError):
    """No installed package offers a backend of this type."""


class MissingExtra(PluginError, ImportError):
    """A backend is installed but a package that it needs is not."""


class TransferError(CachexportError):
    """Moving a blob failed. `origin` says on which side, `op` at what; the cause says why."""

    exit_code = 74

    def __init__(self, message: str, *, op: str, origin: Literal["source", "destination"]) -> None:
        super().__init__(message)
        self.op = op
        self.origin = origin

    @property
    def temporary(self) -> bool:
        """Whether another try may help, as far as the side that failed can tell."""
        return self._cause is not None and self._cause.temporary

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the side that failed wants the next try, if it told."""
        return None if self._cause is None else self._cause.retry_after

    def exhausted_after(self, attempts: int) -> Self:
        """Give this error as it stands when the last of so many attempts ended with it."""
        error = _copy(self, attempts)
        if self._cause is not None:
            error.__cause__ = self._cause.exhausted_after(1)
        return error

    @property
    def _cause(self) -> BackendError | None:
        return self.__cause__ if isinstance(self.__cause__, BackendError) else None


def _copy(error: _E, attempts: int) -> _E:
    """Copy an error, which says then how often was tried."""
    told = f"{error}; tried {attempts} times" if attempts > 1 else str(error)
    copy = type(error).__new__(type(error), told)
    copy.__dict__.update(error.__dict__)
    copy.args = (told,)
    copy.__cause__ = error.__cause__
    return copy
