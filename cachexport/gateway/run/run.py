"""Running one command beside a gateway of its own, and counting what it read and wrote."""

from __future__ import annotations

import logging
import subprocess
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cachexport.content.files.temporary import temporary_folder
from cachexport.errors import BackendError, CachexportError
from cachexport.gateway.composing import Limits, open_gateway
from cachexport.gateway.http.threads import working
from cachexport.gateway.run.configs import with_insecure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from cachexport.gateway.http.exchange import Exchange
    from cachexport.gateway.run.plan import RunPlan


_WRITING = ("PUT", "POST", "PATCH")
_LOGIN_WANTED = 401
_SERVER_ERROR = 500


@dataclass(slots=True)
class Summary:
    """What passed through the gateway. Blobs are counted by repository and digest."""

    found: dict[str, dict[str, str]] = field(default_factory=dict)
    """By repository, the digest of each tag when it was asked for."""
    written: dict[str, dict[str, str]] = field(default_factory=dict)
    """By repository, the digest of each tag that was pushed."""
    pulled: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes that were read of each blob."""
    pushed: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes of each blob that was written."""
    spared: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes of each blob that was not sent, because it was there already."""
    failed: list[str] = field(default_factory=list)
    """Errors of pushes, and of the places of caches."""

    def count(self, exchange: Exchange) -> None:
        """Count a request that is over."""
        if exchange.status == _LOGIN_WANTED:
            return  # the client asks again, with its login
        if exchange.error:
            if exchange.method in _WRITING or exchange.status >= _SERVER_ERROR:
                self.failed.append(exchange.error)
        elif exchange.kind == "manifests":
            self._count_manifest(exchange)
        elif exchange.kind == "blobs":
            self._count_blob(exchange)
        elif exchange.kind == "uploads" and exchange.status == 201:
            self._count_upload(exchange)

    def _count_manifest(self, exchange: Exchange) -> None:
        if ":" not in exchange.item:
            tags = self.written if exchange.method == "PUT" else self.found
            tags.setdefault(exchange.repository, {})[exchange.item] = exchange.digest

    def _count_blob(self, exchange: Exchange) -> None:
        blob = exchange.repository, exchange.digest
        if exchange.method == "GET":
            self.pulled[blob] = self.pulled.get(blob, 0) + exchange.sent
        elif blob not in self.pushed:
            self.spared[blob] = exchange.size

    def _count_upload(self, exchange: Exchange) -> None:
        blob = exchange.repository, exchange.digest
        if exchange.method == "POST" and not exchange.received:  # it was mounted
            self.spared[blob] = exchange.size
        else:
            self.pushed[blob] = exchange.size


_ENDING = 2.0
"""Seconds for requests under way when the command has ended."""
_log = logging.getLogger(__name__)


class CannotRun(CachexportError):
    """The command cannot be executed; shells exit with the same code."""

    exit_code = 126


class CommandNotFound(CannotRun):
    """The command does not exist; shells exit with the same code."""

    exit_code = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A command that ended."""

    exit_code: int
    summary: Summary
    is_stuck: bool
    """Whether threads are left that wait for a place which hangs."""


def run(
    prepared: RunPlan,
    *,
    env: Mapping[str, str],
    listen: str = "127.0.0.1:0",
    began: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> Ran:
    """Run the command with its output untouched, and wait until what it pushed is written.

    The exit code is the command's, even when caches failed. `began` is called with each process
    that was started. Raises CannotRun.
    """
    summary = Summary()
    guard = threading.Lock()

    def count(exchange: Exchange) -> None:
        with guard:
            summary.count(exchange)

    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("cachexport-run-"))
        host, name = stack.enter_context(_serving(prepared, listen, folder, count))
        logged_in, login = prepared.logged_in(host, env, folder)
        command = logged_in.adapted(host)
        environment = {**command.env, **env, **login}
        if prepared.tool.reads_registries_conf:
            environment |= with_insecure(host, env, folder)
        with _started(command.words, environment) as process:
            began(process)
            exit_code = process.wait()
        if exit_code == 0:
            exit_code = _run_after(command.after, environment, began)
    return Ran(exit_code=exit_code, summary=summary, is_stuck=bool(working(name)))


@contextmanager
def _serving(
    prepared: RunPlan, listen: str, folder: Path, on_request: Callable[[Exchange], None]
) -> Iterator[tuple[str, str]]:
    """Serve in a thread; give where the gateway listens, and the prefix of its threads' names."""
    limits = Limits(spool=folder / "spool")
    # Before the import below: it says what to install where a package is missing.
    gateway = open_gateway(
        prepared.find, access=prepared.access, limits=limits, on_request=on_request
    )
    from cachexport.gateway.http.server import Server, address, bind

    bound = bind(listen)
    host = address(bound)
    server = Server(gateway, bound)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(ready.set,), name="cachexport-gateway")
    with closing(prepared):
        thread.start()
        try:
            while not ready.wait(0.1):
                if not thread.is_alive():
                    raise BackendError(f"the gateway at {host} did not start", op="listen")
            yield host, gateway.threads.name
        finally:
            # The command has ended, so nobody needs an answer of a place that hangs.
            server.stop()
            thread.join(_ENDING)
            server.break_off()
            thread.join()


def _started(words: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the command. Raises CannotRun."""
    try:
        return subprocess.Popen(words, env=env)  # noqa: S603
    except FileNotFoundError as error:
        where = "there is no such file" if "/" in words[0] else "it is in no directory of PATH"
        raise CommandNotFound(f"cannot run {words[0]}: {where}") from error
    except OSError as error:
        raise CannotRun(f"cannot run {words[0]}: {error.strerror}") from error


def _run_after(
    commands: Iterable[Sequence[str]],
    env: Mapping[str, str],
    began: Callable[[subprocess.Popen[bytes]], None],
) -> int:
    """Run commands, and warn of those that fail; stop at one that a signal ended.

    Gives its negative return code, else 0.
    """
    pipe = subprocess.PIPE
    for words in commands:
        with subprocess.Popen(words, env=env, stdout=pipe, stderr=pipe) as process:  # noqa: S603
            began(process)
            out, err = process.communicate()
        if process.returncode:
            said = (err or out).decode(errors="replace").strip()
            _log.warning("`%s` failed: %s", " ".join(words), said)
        if process.returncode < 0:
            return process.returncode
    return 0
