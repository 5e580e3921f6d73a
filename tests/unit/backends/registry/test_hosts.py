import pytest

from cachexport.backends.registry.hosts import domain, is_loopback, origin


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.test/x", ("https", "a.test", 443)),
        ("http://a.test", ("http", "a.test", 80)),
        ("HTTPS://A.Test:443", ("https", "a.test", 443)),
        ("https://u:p@a.test:5000/x?y", ("https", "a.test", 5000)),
        ("https://[::1]:5000", ("https", "::1", 5000)),
        ("//a.test:5000", ("", "a.test", 5000)),
        ("", ("", "", 0)),
        ("https://[", ("", "", 0)),
        # urllib.parse takes what is after the @ for the host, urllib3 asks the one before it.
        ("https://evil.org\\@auth.example.com/token", ("https", "evil.org", 443)),
    ],
)
def test_urls_are_read_as_they_are_asked(url, expected):
    assert origin(url) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.5.5.5", True),
        ("::1", True),
        ("127.evil.org", False),
        ("10.0.0.1", False),
        ("localhost.evil.org", False),
        ("", False),
    ],
)
def test_this_machine_is_known(host, expected):
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("registry.eu.example.com", "example.com"),
        ("example.com", "example.com"),
        ("registry.example.co.uk", "example.co.uk"),
        ("example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("ann.github.io", "ann.github.io"),
        ("x.ann.github.io", "ann.github.io"),
        ("registry.corp.internal", "corp.internal"),
        ("registry", "registry"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_a_domain_is_what_somebody_registered(host, expected):
    assert domain(host) == expected
