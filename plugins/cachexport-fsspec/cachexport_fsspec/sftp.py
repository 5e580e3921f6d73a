"""Files of another machine, over SFTP."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Any

from cachexport.plugin import clock
from cachexport_fsspec.files import Files
from cachexport_fsspec.paths import unfinished


class Sftp(Files):
    """See Files. There is no way to make a file young but to say when it was written.

    So that is said by the other machine's clock, which a file that is written just now tells.
    """

    sweeps = True

    def __init__(self, fs: Any, root: str) -> None:
        super().__init__(fs, root)
        self._lock = Lock()
        self._channel: Any = None
        self._ahead: float | None = None

    def touch(self, path: str) -> None:
        """See Files."""
        when = int(self.now())
        self._run(self._set_times, path, when)

    def now(self) -> float:
        """See Files. It tells whole seconds."""
        with self._lock:
            if self._ahead is None:
                self._ahead = self._measured()
            return clock().now() + self._ahead

    def close(self) -> None:
        """See Files. Only what sshfs does at the end of all would close the connection."""
        finalize = getattr(self.fs, "_finalize", None)
        if finalize is not None:
            finalize(self.fs.loop, self.fs._pool, self.fs._stack)

    def _measured(self) -> float:
        """Give the seconds by which the other clock is ahead: 0 for less than it can tell."""
        path = unfinished(f"{self.root.rstrip('/')}/")
        self.finish(self.create(path))
        try:
            ahead = (self.modified(self.info(path)) or 0.0) - clock().now()
        finally:
            with suppress(FileNotFoundError):
                self.remove(path)
        return 0.0 if -2 < ahead < 1 else ahead

    async def _set_times(self, path: str, when: int) -> None:
        from asyncssh.sftp import SFTPNoSuchFile

        if self._channel is None:
            self._channel = await self.fs.client.start_sftp_client()
        try:
            await self._channel.utime(path, (when, when))
        except SFTPNoSuchFile as error:
            raise FileNotFoundError(path) from error

    def _run(self, work: Any, *args: Any) -> Any:
        from fsspec.asyn import sync

        return sync(self.fs.loop, work, *args)
