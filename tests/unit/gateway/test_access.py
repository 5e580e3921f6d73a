"""Who may do what with a gateway."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from cachexport.errors import InvalidInputError
from cachexport.gateway.http.access import Access, read_tokens
from cachexport.gateway.shelf.names import read_forms

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.gateway.conftest import Gateway

TOKENS = ["# ours", "secret", "other  # of CI", "", "looker read-only"]


def basic(password: str, user: str = "anybody") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def guarded(start: Callable[..., Gateway]) -> Gateway:
    return start(access=Access(tokens=read_tokens(TOKENS)))


WRONG = ["", "Basic", "Basic ???", basic("wrong"), basic(""), "Bearer", "Bearer secre", "X secret"]
RIGHT = [basic("secret"), basic("other", "me"), "Bearer secret", "bearer other"]


def test_without_a_token_nothing_goes(guarded: Gateway) -> None:
    for shown in WRONG:
        headers = {"Authorization": shown} if shown else {}
        for method, path in (
            ("GET", "/v2/"),
            ("GET", "/v2/a/manifests/x"),
            ("POST", "/v2/a/blobs/uploads/"),
            ("GET", "/v2/../etc"),
        ):
            refused = guarded.ask(method, path, **headers)
            assert (refused.status, refused.code) == (401, "UNAUTHORIZED")
            assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert guarded.ask("GET", "/healthz").status == 200
    assert b"cachexport_requests_total" in guarded.ask("GET", "/metrics").body


def test_a_token_lets_in(guarded: Gateway) -> None:
    for shown in RIGHT:
        assert guarded.ask("GET", "/v2/", Authorization=shown).status == 200
        assert guarded.ask("POST", "/v2/a/blobs/uploads/", Authorization=shown).status == 202


def check_only_reads(
    gateway: Gateway, repository: str = "a", said: str = "", **headers: str
) -> None:
    upload = f"/v2/{repository}/blobs/uploads/"
    for method, path in (
        ("POST", upload),
        ("POST", f"{upload}?mount=sha256:{64 * '0'}&from=b"),
        ("PATCH", f"{upload}x"),
        ("PUT", f"{upload}x?digest=sha256:{64 * '0'}"),
        ("DELETE", f"{upload}x"),
        ("GET", f"{upload}x"),
        ("PUT", f"/v2/{repository}/manifests/x"),
        ("PUT", f"/v2/{repository}/manifests/sha256:{64 * '0'}"),
        ("DELETE", f"/v2/{repository}/manifests/x"),
        ("DELETE", f"/v2/{repository}/blobs/sha256:{64 * '0'}"),
    ):
        refused = gateway.ask(method, path, b"", **headers)
        assert (refused.status, refused.code) == (403, "DENIED"), (method, path)
        assert said in refused.json["errors"][0]["message"]
    assert gateway.ask("GET", f"/v2/{repository}/manifests/x", **headers).status == 404


def test_a_token_that_only_reads(guarded: Gateway) -> None:
    check_only_reads(guarded, said="your token is read-only", Authorization="Bearer looker")


def test_a_gateway_that_is_only_read(start: Callable[..., Gateway]) -> None:
    rules = Access(is_read_only=True, may_delete=True, tokens=read_tokens(TOKENS))
    gateway = start(access=rules)
    for token in ("secret", "looker"):
        check_only_reads(gateway, said="this gateway is", Authorization=f"Bearer {token}")


def test_what_may_be_pushed_to(start: Callable[..., Gateway]) -> None:
    gateway = start(access=Access(patterns=("team/*", "app:pr-*")))
    check_only_reads(gateway, "other")
    check_only_reads(gateway, "app/x")
    for repository, tag, status in (
        ("team/x", "any", 400),
        ("app", "pr-1", 400),
        ("app", "main", 403),
        ("teams", "any", 403),
    ):
        answer = gateway.ask("PUT", f"/v2/{repository}/manifests/{tag}", b"no manifest")
        assert answer.status == status
    assert gateway.ask("POST", "/v2/app/blobs/uploads/").status == 202
    assert gateway.ask("DELETE", "/v2/team/x/manifests/any").code == "UNSUPPORTED"


@pytest.mark.parametrize("lines", [[], ["# none"], ["secret something"], ["a read-only b"]])
def test_no_tokens(lines: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        read_tokens(lines)


def test_no_form() -> None:
    with pytest.raises(InvalidInputError, match="no form of caches: 'tar'"):
        read_forms(["x=tar"])


def test_a_token_may_have_any_sign_in_it() -> None:
    [first, second] = read_tokens(["Z#strong read-only # a note", "", "# nothing", "b"])
    assert (first.secret, first.is_read_only, second.secret) == (b"Z#strong", True, b"b")
