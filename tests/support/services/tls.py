"""A certificate authority that nobody else trusts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    chain: Path
    key: Path


class Authority:
    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self._numbers = count(1)
        self.bundle = folder / "authority.pem"
        self._ca.cert_pem.write_to_path(self.bundle)

    def issue(self, *names: str) -> Certificate:
        """Make a certificate for these names and addresses; by default, for this machine."""
        issued = self._ca.issue_cert(*(names or ("127.0.0.1", "localhost")))
        stem = self._folder / f"{next(self._numbers)}"
        certificate = Certificate(stem.with_suffix(".crt"), stem.with_suffix(".key"))
        certificate.chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(certificate.key)
        return certificate

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.bundle)
