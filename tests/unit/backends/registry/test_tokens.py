import re
from urllib.parse import parse_qs, urlsplit

import pytest

from cachexport.backends.registry.attrs import RegistryImport
from cachexport.backends.registry.connections import Pools, Proxies
from cachexport.backends.registry.login import Authorizer, Challenge, StoredLogin, may_have_login
from cachexport.content.clock import clock
from cachexport.errors import Auth, BackendError
from cachexport.oci.reference import Reference

POOLS = Pools(RegistryImport(ref=Reference.parse("registry.example/app")), Proxies({}))
BEARER = 'Bearer realm="https://auth.example/token",service="registry.example",scope="x"'


@pytest.mark.parametrize(
    ("header", "scheme", "parameters"),
    [
        ('Basic realm="r"', "basic", {"realm": "r"}),
        ("BASIC realm=r", "basic", {"realm": "r"}),
        (
            'Bearer realm="https://a/t?x=1",service="s, t",error="e"',
            "bearer",
            {"realm": "https://a/t?x=1", "service": "s, t", "error": "e"},
        ),
        ('Bearer Realm = "a" , SERVICE = b', "bearer", {"realm": "a", "service": "b"}),
        ("", "", {}),
    ],
)
def test_challenges_are_read(header, scheme, parameters):
    challenge = Challenge.parse(header)
    assert (challenge.scheme, challenge.parameters) == (scheme, parameters)


@pytest.mark.parametrize(
    ("host", "realm", "allowed"),
    [
        ("registry.example.com", "https://registry.example.com/token", True),
        ("registry.example.com:5000", "https://registry.example.com/token", True),
        ("registry.example.com", "http://registry.example.com/token", False),
        ("127.0.0.1:5000", "http://127.0.0.1:5001/token", True),
        ("localhost:5000", "http://localhost:5001/token", True),
        ("127.0.0.1:5000", "http://127.0.0.2/token", False),
        ("docker.io", "https://auth.docker.io/token", True),
        ("docker.io", "http://auth.docker.io/token", False),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("registry.example.com", "https://auth.example.com/token", True),
        ("registry.example.com", "https://auth.example.org/token", False),
        ("registry.example.com", "https://example.com.evil.org/token", False),
        ("example.com", "https://other.com/token", False),
        ("10.0.0.1", "https://10.0.0.2/token", False),
        ("registry.example.com", "", False),
        ("registry.example.com", "file:///etc/passwd", False),
        ("registry.example.com", "https://[", False),
        ("registry.example.com", "https://evil.org\\@auth.example.com/token", False),
        ("registry.example.com", "https://registry.example.com.evil.org/token", False),
        ("registry.example.co.uk", "https://auth.example.co.uk/token", True),
        ("registry.example.co.uk", "https://auth.other.co.uk/token", False),
        ("registry.eu.example.com", "https://auth.example.com/token", True),
        ("ann.github.io", "https://bob.github.io/token", False),
        ("registry.corp.internal", "https://auth.corp.internal/token", True),
        ("registry.local", "https://auth.local/token", False),
        ("registry", "https://auth/token", False),
        ("127.evil.org", "http://127.evil.org/token", False),
        ("[::1]:5000", "http://[::1]:5001/token", True),
    ],
)
def test_a_login_goes_to_the_registrys_own_token_service_only(host, realm, allowed):
    assert may_have_login(host, realm) is allowed


class Service(Authorizer):
    """An Authorizer whose token service is this class."""

    def __init__(self, login=None, life=60):
        self.time = 0.0
        self.asked = []
        self.life = life
        clock().monotonic = lambda: self.time
        super().__init__("registry.example", lambda: login, POOLS)

    def _ask(self, realm, fields, login):
        self.asked.append((realm, fields, login))
        return {"token": f"t{len(self.asked)}", "expires_in": self.life}


def test_nothing_is_sent_before_it_is_asked_for():
    service = Service(StoredLogin("u", "p"))
    assert service.header("s") is None
    assert service.asked == []


def test_basic_logins_are_sent_as_they_are():
    service = Service(StoredLogin("u", "p"))
    assert service.refused('Basic realm="r"', "s", None)
    assert service.header("s") == "Basic dTpw"
    assert not service.refused('Basic realm="r"', "s", "Basic dTpw")


def test_basic_without_a_login_says_what_to_do():
    service = Service()
    assert service.refused('Basic realm="r"', "s", None)
    with pytest.raises(Auth, match="docker login"):
        service.header("s")


def test_tokens_are_kept_per_scope_until_shortly_before_they_expire():
    service = Service()
    service.refused(BEARER, "pull", None)
    assert [service.header("pull") for _ in range(3)] == ["Bearer t1"] * 3
    assert service.header("push") == "Bearer t2"
    service.time = 53
    assert service.header("pull") == "Bearer t1"
    service.time = 55
    assert service.header("pull") == "Bearer t3"


def test_several_scopes_are_one_field_of_a_form_and_several_of_a_query():
    sent = []

    class Sent:
        def request(self, method, url, headers, body=""):
            sent.append(parse_qs(body or urlsplit(url).query))

    fields = {"service": "s", "scope": "repository:a:pull repository:b:pull"}
    for login in (StoredLogin("u", "p"), StoredLogin(identity_token="t")):
        service = Authorizer("registry.example", lambda login=login: login, Sent())
        service._send("https://registry.example/token?account=x", fields, login)
    assert sent[0]["account"] == ["x"]
    assert sent[0]["scope"] == ["repository:a:pull", "repository:b:pull"]
    assert sent[1]["scope"] == ["repository:a:pull repository:b:pull"]


def test_a_token_that_is_refused_is_fetched_anew_once():
    service = Service()
    service.refused(BEARER, "s", None)
    old = service.header("s")
    assert service.refused(BEARER, "s", old)
    assert service.header("s") == "Bearer t2"
    # Another thread that was refused with the old one does not throw the new one away.
    assert service.refused(BEARER, "s", old)
    assert service.header("s") == "Bearer t2"


def test_a_login_is_not_sent_to_a_stranger():
    service = Service(StoredLogin("u", "p"))
    service.refused('Bearer realm="https://evil.org/token"', "s", None)
    with pytest.raises(Auth, match="not its own"):
        service.header("s")
    assert service.asked == []


def test_an_unknown_scheme_is_not_answered():
    assert not Service().refused("Negotiate", "s", None)


@pytest.mark.parametrize(
    ("realm", "words", "temporary"),
    [
        ("http://127.0.0.1:1/token", "nothing answers there", True),
        ("http://name.invalid/token", "the host's name is not known", True),
        ("ftp://registry.example/token", "no URL", False),
        ("nonsense", "no URL", False),
        ("", "no URL", False),
    ],
)
def test_a_token_service_that_cannot_be_asked(realm, words, temporary):
    asking = Authorizer("registry.example", lambda: None, POOLS)
    with pytest.raises(BackendError, match=words) as raised:
        asking.refused(f'Bearer realm="{realm}"', "s", None)
        asking.header("s")
    assert raised.value.temporary is temporary
    assert not re.search("[a-z]Error|Exception", str(raised.value))
