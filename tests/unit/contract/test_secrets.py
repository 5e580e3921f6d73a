"""No password gets into a message, wherever somebody puts it."""

from __future__ import annotations

import pytest

from cachexport import copy_cache
from cachexport.contract.spec import parse_spec, without_password
from cachexport.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ci:S3CRET@host/app:x", "ci:***@host/app:x"),
        ("http://ci:S3CRET@host/app", "http://ci:***@host/app"),
        ("host:5000/app:1.0@sha256:abc", "host:5000/app:1.0@sha256:abc"),
        ("host:5000/app", "host:5000/app"),
    ],
)
def test_a_password_is_left_out(text, shown):
    assert without_password(text) == shown
    assert shown in str(parse_spec(f"type=registry,ref={text}"))


@pytest.mark.parametrize("ref", ["ci:S3CRET@host/app:x", "http://ci:S3CRET@host/app"])
def test_an_error_does_not_repeat_it(ref):
    with pytest.raises(InvalidInputError) as raised:
        copy_cache([f"type=registry,ref={ref}"], ["type=local,dest=nowhere"])
    assert "S3CRET" not in str(raised.value)


def test_one_text_is_no_list():
    with pytest.raises(InvalidInputError, match="lists of specifications"):
        copy_cache("type=local,src=a", ["type=local,dest=b"])
