import ssl

import pytest
import urllib3

from cachexport.backends.registry.errors import Broken, network, refusal
from cachexport.errors import BackendError, RegistryError


def broken(error):
    with pytest.raises(Broken) as raised, network("read it", "registry.test"):
        raise error
    return raised.value


@pytest.mark.parametrize(
    ("inner", "temporary", "words"),
    [
        (ssl.SSLEOFError(8, "EOF occurred"), True, "the connection broke"),
        (ssl.SSLZeroReturnError(6, "closed"), True, "the connection broke"),
        (ssl.SSLCertVerificationError(1, "self-signed"), False, "certificate is not trusted"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), False, "registry.insecure=true"),
    ],
)
def test_tls_that_ends_is_not_tls_that_fails(inner, temporary, words):
    error = broken(urllib3.exceptions.SSLError(inner))
    assert error.temporary is temporary
    assert words in str(error)


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (
            "Tunnel connection failed: 407 Whatever they say",
            "the proxy answered 407; set its login",
        ),
        ("Tunnel connection failed: 502 Bad Gateway", "the proxy answered 502"),
        ("[Errno 111] Connection refused", "does not answer"),
    ],
)
def test_a_proxys_failure_is_the_proxys(inner, words):
    error = broken(urllib3.exceptions.ProxyError("Unable to connect to proxy", OSError(inner)))
    assert words in str(error)
    assert "they say" not in str(error)


@pytest.mark.parametrize(
    ("status", "words"), [(413, "raise the limit"), (407, "proxy wants a login")]
)
def test_what_others_than_the_registry_say_has_a_hint(status, words):
    error = refusal("write it", "registry.test", status, b"<html>")
    assert isinstance(error, RegistryError)
    assert words in str(error)
    assert not error.temporary


@pytest.mark.parametrize(("tries", "said"), [(1, "it broke"), (3, "it broke; tried 3 times")])
def test_what_was_tried_enough_is_not_temporary(tries, said):
    error = BackendError("it broke", op="write", temporary=True)
    error = error.exhausted_after(tries)
    assert (str(error), error.temporary, error.exhausted) == (said, False, True)
