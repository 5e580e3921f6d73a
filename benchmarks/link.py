"""A slow link between two network namespaces of its own, to see what round trips cost.

    python benchmarks/link.py MILLISECONDS       holds it open until it is interrupted

Every packet arrives so many milliseconds after it was sent; there is no other limit and no loss.
Each end is a TUN device, and a process hands the packets over, so no kernel module for delays is
needed; but root, iproute2 and /dev/net/tun are.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import selectors
import shutil
import signal
import struct
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TUN = Path("/dev/net/tun")
SERVER, CLIENT = "192.0.2.1", "192.0.2.2"  # of the addresses for documentation: nobody's
QUEUE = "10000"  # packets; a burst is to be late, not lost

# From linux/if_tun.h. With its header, a packet may be as large as the kernel likes to send it, and
# is cut to the device's 1500 bytes where it is received: few system calls, honest windows.
SET_INTERFACE, SET_OFFLOAD = 0x400454CA, 0x400454D0
NO_FRAMING, VIRTIO_HEADER = 0x0001 | 0x1000, 0x4000
CHECKSUMS, SEGMENTS = 0x01, 0x02 | 0x04
LARGEST = 1 << 17


@dataclass(frozen=True)
class Link:
    """Two namespaces; commands in `client` reach those in `server` at the address SERVER."""

    server: str
    client: str

    @staticmethod
    def within(namespace: str, command: list[str]) -> list[str]:
        """Give the command that runs `command` there, as the same process."""
        return ["ip", "netns", "exec", namespace, *command]


@contextmanager
def slow_link(milliseconds: float) -> Iterator[Link]:
    """Make a link for the block; SystemExit says what of the machine is missing."""
    if os.geteuid() != 0 or shutil.which("ip") is None or not TUN.exists():
        raise SystemExit(f"a slow link needs root, iproute2's program ip, and {TUN}")
    link = Link(f"slow-server-{os.getpid()}", f"slow-client-{os.getpid()}")
    with ExitStack() as stack:
        for name in (link.server, link.client):
            stack.enter_context(_namespace(name))
        server = stack.enter_context(_end(link.server, SERVER, CLIENT))
        client = stack.enter_context(_end(link.client, CLIENT, SERVER))
        stack.enter_context(_carrier(server, client, milliseconds / 1000))
        yield link


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    _ip("netns", "add", name)
    try:
        yield
    finally:
        _ip("netns", "delete", name)


@contextmanager
def _end(namespace: str, address: str, peer: str) -> Iterator[int]:
    """Make a device in a namespace, and give the descriptor of its wire."""
    wire = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    try:
        wanted = struct.pack("16sH22x", b"slow%d", NO_FRAMING | VIRTIO_HEADER)
        device = fcntl.ioctl(wire, SET_INTERFACE, wanted)[:16].rstrip(b"\0").decode()
        fcntl.ioctl(wire, SET_OFFLOAD, CHECKSUMS | SEGMENTS)
        _ip("link", "set", device, "netns", namespace)
        _ip("-n", namespace, "address", "add", address, "peer", peer, "dev", device)
        _ip("-n", namespace, "link", "set", device, "mtu", "1500", "txqueuelen", QUEUE, "up")
        yield wire
    finally:
        os.close(wire)


@contextmanager
def _carrier(one: int, other: int, seconds: float) -> Iterator[None]:
    process = get_context("fork").Process(target=_carry, args=(one, other, seconds), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _carry(one: int, other: int, seconds: float) -> None:
    """Hand over packets until the end of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever made the link ends it
    # select(2) wakes to the microsecond; epoll only to the millisecond, and late.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())

    def take(source: int, target: int) -> None:
        loop.call_later(seconds, _deliver, target, os.read(source, LARGEST))

    loop.add_reader(one, take, one, other)
    loop.add_reader(other, take, other, one)
    loop.run_forever()


def _deliver(target: int, packet: bytes) -> None:
    with suppress(OSError):  # an end that is going down takes none; TCP will know
        os.write(target, packet)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def main() -> None:
    with slow_link(float(sys.argv[1])) as link, suppress(KeyboardInterrupt):
        print(*link.within(link.server, ["…"]), f"  has the address {SERVER}")
        print(*link.within(link.client, ["…"]), f"  has the address {CLIENT}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
