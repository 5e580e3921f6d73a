import pytest

from cachexport.backends.registry.connections import Proxies, Proxy, domain, is_loopback, origin
from cachexport.errors import BackendError

PROXY = {"http_proxy": "http://plain.test:1", "https_proxy": "http://secure.test:2"}


def found(url, env):
    proxy = Proxies(env).find(url)
    return None if proxy is None else proxy.url


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://registry.test/v2/", "http://plain.test:1"),
        ("https://registry.test/v2/", "http://secure.test:2"),
        ("https://registry.test:5000", "http://secure.test:2"),
        ("https://localhost:5000/v2/", None),
        ("http://127.0.0.1:5000/v2/", None),
        ("http://127.9.9.9/", None),
        ("http://127.evil.test/", "http://plain.test:1"),
        ("http://[::1]:5000/v2/", None),
        ("http://[fe80::1]:5000/v2/", "http://plain.test:1"),
        ("no url", None),
    ],
)
def test_each_scheme_has_its_proxy_and_this_machine_none(url, proxy):
    assert found(url, PROXY) == proxy


def test_without_variables_there_is_none():
    assert found("https://registry.test", {"http_proxy": "http://plain.test"}) is None
    assert found("https://registry.test", {"https_proxy": ""}) is None


@pytest.mark.parametrize(
    ("env", "proxy"),
    [
        ({"HTTPS_PROXY": "http://upper.test"}, "http://upper.test"),
        ({"HTTPS_PROXY": "http://upper.test", "https_proxy": "http://l.test"}, "http://l.test"),
        ({"HTTPS_PROXY": "http://upper.test", "https_proxy": ""}, "http://upper.test"),
        ({"HTTPS_PROXY": "proxy.test:3128"}, "http://proxy.test:3128"),
        ({"HTTPS_PROXY": "https://proxy.test"}, "https://proxy.test"),
    ],
)
def test_lower_case_wins_and_http_is_meant(env, proxy):
    assert found("https://registry.test", env) == proxy


@pytest.mark.parametrize(
    ("left_out", "url", "direct"),
    [
        ("*", "https://registry.test", True),
        ("registry.test", "https://registry.test", True),
        ("registry.test", "https://eu.registry.test", True),
        ("registry.test", "https://myregistry.test", False),
        (".registry.test", "https://eu.registry.test", True),
        ("*.registry.test", "https://eu.registry.test", True),
        ("REGISTRY.test", "https://registry.TEST", True),
        (" other.test , registry.test ,", "https://registry.test", True),
        ("registry.test:443", "https://registry.test", True),
        ("registry.test:5000", "https://registry.test", False),
        ("registry.test:5000", "https://registry.test:5000", True),
        ("10.1.2.3", "https://10.1.2.3", True),
        ("10.1.2.3:443", "https://10.1.2.3", True),
        ("10.1.2.3:444", "https://10.1.2.3", False),
        ("10.0.0.0/8", "https://10.1.2.3:5000", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.0.0.0/8", "https://10.example.test", False),
        ("fd00::/8", "https://[fd00::5]:5000", True),
        ("[fd00::5]:5000", "https://[fd00::5]:5000", True),
        ("0.1", "https://10.0.0.1", False),
        ("", "https://registry.test", False),
        (",", "https://registry.test", False),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_what_no_proxy_names_is_asked_directly(name, left_out, url, direct):
    assert (found(url, {**PROXY, name: left_out}) is None) is direct


def test_a_login_is_for_the_proxy_alone():
    proxy = Proxy.parse("http://us%20er:p%40:w@proxy.test:3128/")
    assert proxy.url == "http://proxy.test:3128"
    assert proxy.authorization == "Basic dXMgZXI6cEA6dw=="
    assert "p%40" not in repr(proxy)
    assert proxy.authorization not in repr(proxy)


@pytest.mark.parametrize(
    "text",
    ["socks5://u:secret@proxy.test", "http://u:secret@", "http://u:secret@[bad", "://secret"],
)
def test_one_that_cannot_be_used_is_told_without_its_text(text):
    with pytest.raises(BackendError, match="HTTP_PROXY") as raised:
        Proxies({"http_proxy": text})
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


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
