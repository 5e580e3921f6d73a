"""The files that `cachexport serve` reads before it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def serve(run: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """Give what runs `serve` and expects that it never gets as far as to listen."""

    def served(*args: str) -> Any:
        store = f"type=local,dest={tmp_path / 'store'}"
        return run("serve", "--store", store, "--listen", "192.0.2.1:0", *args)

    return served


def tokens(folder: Path, raw: bytes, mode: int = 0o600) -> str:
    path = folder / "tokens"
    path.write_bytes(raw)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"sesame\nopen \xff\n", "line 2: not UTF-8; write a token a line"),
        ("sesame".encode("utf-16"), "line 1: not UTF-8"),
        (b"# ours\n\nsesame readonly\n", "line 3: behind a token stands read-only or nothing"),
        (b"# none\n", "there is no token; write one a line"),
    ],
)
def test_tokens_that_cannot_be_read(
    serve: Callable[..., Any], tmp_path: Path, raw: bytes, said: str
) -> None:
    path = tokens(tmp_path, raw)
    done = serve("--token-file", path)
    assert (done.code, len(done.errors)) == (2, 1)
    assert f"{path}: {said}" in done.err
    assert "sesame" not in done.err
    assert "internal error" not in done.err


def test_tokens_that_are_no_file(serve: Callable[..., Any], tmp_path: Path) -> None:
    done = serve("--token-file", str(tmp_path))
    assert (done.code, f"'{tmp_path}' is a directory" in done.err) == (2, True)
    done = serve("--token-file", "/proc/self/mem")
    assert (done.code, "cannot read the tokens in /proc/self/mem: " in done.err) == (2, True)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_others_who_can_read_the_tokens(
    serve: Callable[..., Any], tmp_path: Path, mode: int, warned: bool
) -> None:
    path = tokens(tmp_path, b"\xef\xbb\xbfsesame\r\n", mode)
    done = serve("--token-file", path)
    assert "cannot listen at 192.0.2.1:0" in done.err
    assert (f"warning: others can read the tokens in {path}; chmod 600 it" in done.err) is warned


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Give a certificate and its key."""
    issued = trustme.CA().issue_cert("localhost")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    return certificate, key


def refused(serve: Callable[..., Any], certificate: Path, key: Path) -> str:
    done = serve("--tls-cert", str(certificate), "--tls-key", str(key))
    assert (done.code, len(done.errors)) == (2, 1), done.err
    return str(done.errors[0])


def test_a_pair_that_is_right(serve: Callable[..., Any], pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    done = serve("--tls-cert", str(certificate), "--tls-key", str(key))
    assert "cannot listen at" in done.err
    certificate.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert "cannot listen at" in serve("--tls-cert", str(certificate)).err


def test_a_certificate_that_is_none(serve: Callable[..., Any], pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    said = f"{certificate} has no certificate in PEM that can be read"
    for raw in (b"", b"\x30\x82", key.read_bytes(), certificate.read_bytes()[:200]):
        certificate.write_bytes(raw)
        assert said in refused(serve, certificate, key)


def test_a_key_that_is_none(serve: Callable[..., Any], pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    for raw in (b"", b"\x30\x82", certificate.read_bytes()):
        key.write_bytes(raw)
        assert f"{key} has no private key in PEM" in refused(serve, certificate, key)
    done = serve("--tls-cert", str(certificate))
    assert f"{certificate} has no private key in PEM" in done.err


@pytest.mark.parametrize("kind", [trustme.KeyType.ECDSA, trustme.KeyType.RSA])
def test_a_key_of_another(
    serve: Callable[..., Any], pair: tuple[Path, Path], kind: trustme.KeyType
) -> None:
    certificate, key = pair
    other = trustme.CA().issue_cert("localhost", key_type=kind)
    key.write_bytes(other.private_key_pem.bytes())
    said = f"the key in {key} does not belong to the certificate in {certificate}"
    assert said in refused(serve, certificate, key)


def test_a_key_with_a_password(serve: Callable[..., Any], pair: tuple[Path, Path]) -> None:
    certificate, key = pair
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = plain.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"sesame"),
    )
    key.write_bytes(locked)
    assert f"the key in {key} needs a password" in refused(serve, certificate, key)
