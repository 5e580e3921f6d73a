"""Headers of tar archives, byte for byte as Go's archive/tar writes them.

Python's own differ between versions; the same image has to give the same archive everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BLOCK_SIZE = 512
"""Bytes of a header; files are padded to a multiple of it."""
END = bytes(2 * BLOCK_SIZE)
"""The end of an archive."""

_DIRECTORY = "5"
_FILE = "0"
_EXTENDED = "x"
_MAX_NAME = 100
"""Characters of the longest name that fits into a plain header."""
_MAX_SIZE = 8**11 - 1
"""Bytes of the largest file whose size fits into a plain header."""
_CHECKSUM = slice(148, 156)


def directory_header(name: str, mode: int) -> bytes:
    """Give the header of a directory, whose name ends with a slash."""
    return _header(name, mode, 0, _DIRECTORY)


def file_header(name: str, mode: int, size: int) -> bytes:
    """Give the header of a file of `size` bytes, which follow; the name is ASCII."""
    records = {"path": name} if len(name) > _MAX_NAME else {}
    if size > _MAX_SIZE:
        records["size"] = str(size)
    plain = _header(name[:_MAX_NAME], mode, 0 if "size" in records else size, _FILE)
    return _extended(name, records) + plain if records else plain


def padding(size: int) -> bytes:
    """Give the zeros that pad `size` bytes of a file."""
    return bytes(-size % BLOCK_SIZE)


def _extended(name: str, records: Mapping[str, str]) -> bytes:
    """Give POSIX's extended header, a file of records before the plain one that lacks the room."""
    content = b"".join(_record(key, value) for key, value in records.items())
    folder, _, last = name.rpartition("/")
    place = f"{folder}/PaxHeaders.0/{last}"[:_MAX_NAME]
    return _header(place, 0, len(content), _EXTENDED) + content + padding(len(content))


def _header(name: str, mode: int, size: int, kind: str) -> bytes:
    raw = bytearray(BLOCK_SIZE)
    # No owner and the time 0: neither is a property of the image.
    numbers = f"{mode:07o}\0{0:07o}\0{0:07o}\0{size:011o}\0{0:011o}\0{' ' * 8}{kind}".encode()
    raw[:_MAX_NAME] = name.encode("ascii").ljust(_MAX_NAME, b"\0")
    raw[_MAX_NAME : _MAX_NAME + len(numbers)] = numbers
    raw[257:265] = b"ustar\x0000"
    raw[329:345] = b"0000000\x00" * 2
    raw[_CHECKSUM] = f"{sum(raw):06o}\0 ".encode()
    return bytes(raw)


def _record(key: str, value: str) -> bytes:
    """Give an extended header's record, which begins with its own length."""
    rest = f" {key}={value}\n"
    length = len(rest) + len(str(len(rest)))
    if len(str(length)) > len(str(len(rest))):
        length += 1
    return f"{length}{rest}".encode()
