"""Free ports for services that have to be told theirs.

They are below 22768: no connection gets one of them as its own end, and 10,000 more is a port too.
"""

from __future__ import annotations

import random
import socket

LOWEST, BEYOND = 10_000, 22_768


def free_port() -> int:
    """Give a port that no other caller on this machine gets while this process lives."""
    for port in random.SystemRandom().sample(range(LOWEST, BEYOND), BEYOND - LOWEST):
        if _claim(port) and _is_free(port):
            return port
    raise OSError(f"no port from {LOWEST} to {BEYOND - 1} is free")


def answers(port: int) -> bool:
    """Tell whether something listens on a port of this machine."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _claim(port: int) -> bool:
    """Take a name outside the file system, which the kernel releases at the process's end."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0cachexport-tests-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
