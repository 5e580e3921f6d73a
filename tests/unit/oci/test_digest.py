import hashlib

import pytest

from cachexport import Digest
from cachexport.errors import InvalidDigest

GOOD = "sha256:" + "0123456789abcdef" * 4


def test_it_is_its_text():
    digest = Digest.parse(GOOD)
    assert digest == GOOD
    assert (digest.algorithm, digest.encoded) == ("sha256", "0123456789abcdef" * 4)
    assert {digest: 1}[GOOD] == 1


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_every_registered_algorithm_hashes(name):
    digest = Digest.parse(f"{name}:{hashlib.new(name, b'x').hexdigest()}")
    hasher = digest.hasher()
    hasher.update(b"x")
    assert digest.matches(hasher)
    hasher.update(b"y")
    assert not digest.matches(hasher)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD.replace("a", "A"),
        GOOD.replace("a", "g"),
        GOOD + "\n",
        "md5:" + "0" * 32,
        "sha256:../../../etc/passwd",
        "sha256:" + "٣" * 64,
    ],
)
def test_what_is_none(text):
    with pytest.raises(InvalidDigest, match="digest"):
        Digest.parse(text)


def test_of_hashes_the_bytes():
    assert Digest.of(b"") == (
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
