"""The rig itself: the faulty proxy forwards what does not fail, and fails as it should."""

from __future__ import annotations

from http.client import HTTPConnection, IncompleteRead
from typing import TYPE_CHECKING

import pytest
from support.services.client import ask
from support.services.faulty_proxy import EVERY_KIND, RESET_BEFORE, Failure, FaultyProxy
from support.services.http_server import Server, serving
from support.services.messages import Reply, Request
from support.services.push import push_blob

from cachexport.testing.services import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.services.http_server import Handler
    from support.services.registry import Registry

DATA = bytes(range(256)) * 40


class Origin:
    """A server that says what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.server = Server(self._respond)

    def _respond(self, handler: Handler) -> None:
        body = handler.read()
        self.requests.append(Request(handler.command, handler.path, handler.headers, body))
        handler.send(Reply(200, {"Content-Type": "text/x", "Multiple": "a, b"}, body or DATA))


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    with serving(made.server):
        yield made


@pytest.fixture
def proxy(origin: Origin) -> Iterator[FaultyProxy]:
    """Give one that fails never, until a test says so."""
    with FaultyProxy(origin.server.url) as running:
        yield running


def test_a_request_is_forwarded_as_it_came(origin: Origin, proxy: FaultyProxy) -> None:
    answer = ask("PUT", f"{proxy.url}/a%2Fb?c=d&e", DATA, {"X-Test": "x", "Range": "bytes=0-"})
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, DATA, "text/x")
    (seen,) = origin.requests
    assert (seen.method, seen.target, seen.body) == ("PUT", "/a%2Fb?c=d&e", DATA)
    assert (seen.headers["X-Test"], seen.headers["Range"]) == ("x", "bytes=0-")
    assert seen.headers["Host"] == proxy.host


def test_a_chunked_request_is_forwarded_whole(origin: Origin, proxy: FaultyProxy) -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DATA), DATA)
    ask("POST", proxy.url, chunked, {"Transfer-Encoding": "chunked"})
    assert origin.requests[0].body == DATA
    assert origin.requests[0].headers["Content-Length"] == str(len(DATA))


def test_head_has_the_size_and_no_body(proxy: FaultyProxy) -> None:
    answer = ask("HEAD", proxy.url)
    assert (answer.headers["Content-Length"], answer.body) == (str(len(DATA)), b"")


def test_every_nth_request_fails_with_each_failure_in_turn(proxy: FaultyProxy) -> None:
    proxy.every = 3
    outcomes = [_outcome(proxy) for _ in range(3 * len(EVERY_KIND))]
    assert outcomes[2::3] == ["reset", "reset", 500, 500, 503, 503]
    assert set(outcomes[0::3] + outcomes[1::3]) == {200}
    assert [failure for _, failure in proxy.failed] == list(EVERY_KIND)
    proxy.every = 0
    assert [_outcome(proxy) for _ in range(3)] == [200, 200, 200]


def test_a_request_fails_before_or_after_the_server_has_it(origin: Origin) -> None:
    for failure in EVERY_KIND:
        origin.requests.clear()
        with FaultyProxy(origin.server.url, 1, [failure]) as proxy:
            assert _outcome(proxy) in {"reset", failure.status}
        assert len(origin.requests) == (0 if failure.before else 1)


def test_only_some_requests_may_fail(origin: Origin) -> None:
    with FaultyProxy(origin.server.url, 2, when=lambda asked: asked.method == "PUT") as proxy:
        outcomes = [_outcome(proxy, method) for method in ("GET", "PUT", "GET", "GET", "PUT")]
        assert outcomes == [200, 200, 200, 200, "reset"]
        assert [asked.method for asked, _ in proxy.failed] == ["PUT"]


def test_a_failure_may_say_more_than_its_status(origin: Origin) -> None:
    slow = Failure(status=503, headers={"Retry-After": "7"}, body=b"<Code>SlowDown</Code>")
    with FaultyProxy(origin.server.url, 1, [slow]) as proxy:
        answer = ask("PUT", proxy.url, DATA)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert answer.body == b"<Code>SlowDown</Code>"


def test_a_failure_with_a_status_keeps_the_connection(origin: Origin) -> None:
    with FaultyProxy(origin.server.url, 2, [Failure(before=True, status=503)]) as proxy:
        connection = HTTPConnection(proxy.host)
        seen = [_on(connection) for _ in range(4)]
        connection.close()
    assert [status for status, _ in seen] == [200, 503, 200, 503]
    assert len({port for _, port in seen}) == 1


def test_a_reply_is_reset_in_its_middle(origin: Origin) -> None:
    with FaultyProxy(origin.server.url, 1, [Failure(cut=1000)]) as proxy:
        with pytest.raises((ConnectionResetError, IncompleteRead)):
            ask("GET", proxy.url)
        assert len(origin.requests) == 1


def test_a_request_is_reset_in_its_middle(origin: Origin) -> None:
    with (
        FaultyProxy(origin.server.url, 1, [RESET_BEFORE]) as proxy,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
    ):
        ask("PUT", proxy.url, DATA * 10_000)
    assert origin.requests == []


def test_a_server_that_is_gone_is_no_defect_of_the_proxy() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with FaultyProxy(nowhere) as proxy, pytest.raises(ConnectionError):
        ask("GET", proxy.url)


def test_it_stands_before_a_registry(registry: Registry, repo: str) -> None:
    with FaultyProxy(registry.url) as proxy:
        digest = push_blob(proxy.url, repo, DATA)
        assert ask("GET", f"{proxy.url}/v2/{repo}/blobs/{digest}").body == DATA


def _outcome(proxy: FaultyProxy, method: str = "GET") -> int | str:
    try:
        return ask(method, proxy.url).status
    except ConnectionResetError:
        return "reset"


def _on(connection: HTTPConnection) -> tuple[int, object]:
    """Make a request, and give its status and our end of the connection."""
    connection.request("PUT", "/", DATA)
    address = connection.sock.getsockname()
    response = connection.getresponse()
    response.read()
    return response.status, address
