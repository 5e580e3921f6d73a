import base64
import json
import os
import stat
import traceback

import pytest

from cachexport.backends.registry.login import StoredLogin, find_login
from cachexport.errors import Auth

HOST = "registry.example:5000"


def encoded(username, password):
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def auths(host, username="u", password="p"):
    return {"auths": {host: {"auth": encoded(username, password)}}}


@pytest.fixture
def env(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return {"HOME": str(tmp_path)}


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def helper(folder, name, answers):
    """Make a credential helper, a program that docker asks for logins."""
    program = folder / f"docker-credential-{name}"
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import json, sys\n"
        f"answers = json.loads({json.dumps(json.dumps(answers))})\n"
        "host = sys.stdin.read().strip()\n"
        "if host not in answers:\n"
        "    print('credentials not found in native keychain')\n"
        "    sys.exit(1)\n"
        "user, secret = answers[host]\n"
        "print(json.dumps({'ServerURL': host, 'Username': user, 'Secret': secret}))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_without_any_file_nobody_is_logged_in(env):
    assert find_login(HOST, env) is None


def test_a_user_without_a_home_is_not_logged_in(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 1 << 30)  # as in a container that is given any number
    assert find_login(HOST, {}) is None
    write(tmp_path / "config.json", auths(HOST))
    assert find_login(HOST, {"DOCKER_CONFIG": str(tmp_path)}) == StoredLogin("u", "p")


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        (None, ".docker/config.json"),
        ("DOCKER_CONFIG", "elsewhere/config.json"),
        ("REGISTRY_AUTH_FILE", "some/auth.json"),
        ("XDG_RUNTIME_DIR", "run/containers/auth.json"),
        ("XDG_CONFIG_HOME", "conf/containers/auth.json"),
        (None, ".config/containers/auth.json"),
    ],
)
def test_every_place_is_looked_at(env, tmp_path, variable, place):
    path = tmp_path / place
    write(path, auths(HOST))
    folders = {"REGISTRY_AUTH_FILE": path, "DOCKER_CONFIG": path.parent}
    if variable is not None:
        env[variable] = str(folders.get(variable, path.parent.parent))
    assert find_login(HOST, env) == StoredLogin("u", "p")


def test_a_login_is_for_its_host_and_port_only(env, tmp_path):
    write(tmp_path / ".docker/config.json", auths(HOST))
    for other in ("registry.example", "registry.example:5001", "example:5000", "docker.io"):
        assert find_login(other, env) is None


def test_docker_hub_goes_by_its_old_name(env, tmp_path):
    write(tmp_path / ".docker/config.json", auths("https://index.docker.io/v1/"))
    assert find_login("docker.io", env) == StoredLogin("u", "p")


def test_an_identity_token_is_no_password(env, tmp_path):
    entry = {"auth": encoded("00000000-0000-0000-0000-000000000000", ""), "identitytoken": "t"}
    write(tmp_path / ".docker/config.json", {"auths": {HOST: entry}})
    login = find_login(HOST, env)
    assert login is not None
    assert (login.identity_token, login.password) == ("t", "")


@pytest.mark.parametrize("config", [{"credsStore": "x"}, {"credHelpers": {HOST: "x"}}])
def test_helper_programs_are_asked(env, tmp_path, config):
    helper(tmp_path, "x", {HOST: ["u", "secret"]})
    write(tmp_path / ".docker/config.json", config)
    assert find_login(HOST, env) == StoredLogin("u", "secret")
    assert find_login("other.example", env) is None


def test_a_helper_may_give_an_identity_token(env, tmp_path):
    helper(tmp_path, "x", {HOST: ["<token>", "t"]})
    write(tmp_path / ".docker/config.json", {"credsStore": "x"})
    login = find_login(HOST, env)
    assert login is not None
    assert login.identity_token == "t"


def test_a_login_that_cannot_be_read_is_not_an_anonymous_one(env, tmp_path):
    path = tmp_path / ".docker/config.json"
    write(path, {"credHelpers": {HOST: "not-installed"}})
    with pytest.raises(Auth, match="not-installed") as raised:
        find_login(HOST, env)
    assert raised.value.exit_code == 77
    write(path, "{")
    with pytest.raises(Auth, match=str(path)):
        find_login(HOST, env)
    write(path, "[]")
    with pytest.raises(Auth, match="no JSON object"):
        find_login(HOST, env)


def test_what_a_helper_prints_is_not_told(env, tmp_path, monkeypatch):
    helper = tmp_path / "docker-credential-leaky"
    helper.write_text("#!/bin/sh\necho boom S3CRET\nexit 1\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    write(tmp_path / ".docker/config.json", {"credHelpers": {HOST: "leaky"}})
    with pytest.raises(Auth, match="credential helper") as raised:
        find_login(HOST, {**env, "PATH": str(tmp_path)})
    assert "S3CRET" not in str(raised.value)


def test_a_login_in_plain_is_taken(env, tmp_path):
    login = {"username": "ci", "password": "pass:word"}
    write(tmp_path / ".docker/config.json", {"auths": {HOST: login}})
    found = find_login(HOST, env)
    assert (found.username, found.password) == ("ci", "pass:word")


def test_a_file_without_logins_is_fine(env, tmp_path):
    write(tmp_path / ".docker/config.json", {"experimental": "enabled"})
    assert find_login(HOST, env) is None


def test_secrets_are_not_in_the_text_of_a_login():
    assert "hunter2" not in repr(StoredLogin("u", "hunter2", "hunter2"))


def test_the_variable_counts_more_than_any_file(env, tmp_path):
    write(tmp_path / ".docker/config.json", auths(HOST))
    env["DOCKER_AUTH_CONFIG"] = json.dumps(auths(HOST, "v", "from-variable"))
    assert find_login(HOST, env) == StoredLogin("v", "from-variable")
    env["DOCKER_AUTH_CONFIG"] = json.dumps(auths("other.example"))
    assert find_login(HOST, env) == StoredLogin("u", "p")


def test_the_variable_may_name_helpers(env, tmp_path):
    helper(tmp_path, "x", {HOST: ["u", "secret"]})
    env["DOCKER_AUTH_CONFIG"] = json.dumps({"credHelpers": {HOST: "x"}})
    assert find_login(HOST, env) == StoredLogin("u", "secret")


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"auths": {}}', '{"credsStore": ""}'])
def test_a_variable_without_logins_is_fine(env, text):
    env["DOCKER_AUTH_CONFIG"] = text
    assert find_login(HOST, env) is None


WRONG = [
    "hunter2",
    '"hunter2"',
    "[]",
    '{"auths": "hunter2"}',
    '{"auths": ["hunter2"]}',
    json.dumps({"auths": {HOST: "hunter2"}}),
    json.dumps({"auths": {HOST: {"auth": "hunter2"}}}),
    json.dumps({"auths": {HOST: {"auth": ["hunter2"]}}}),
    json.dumps({"credHelpers": {HOST: "hunter2"}}),
    json.dumps({"credHelpers": ["hunter2"]}),
]


@pytest.mark.parametrize("text", WRONG)
def test_a_variable_that_cannot_be_read_is_told_without_its_content(env, text):
    env["DOCKER_AUTH_CONFIG"] = text
    with pytest.raises(Auth, match="DOCKER_AUTH_CONFIG") as raised:
        find_login(HOST, env)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None


@pytest.mark.parametrize("text", WRONG)
def test_a_file_that_cannot_be_read_is_told(env, tmp_path, text):
    path = tmp_path / ".docker/config.json"
    write(path, text)
    with pytest.raises(Auth, match=str(path)):
        find_login(HOST, env)


def test_a_login_tells_where_it_was_found(env, tmp_path):
    path = tmp_path / ".docker/config.json"
    write(path, auths(HOST))
    assert find_login(HOST, env).origin == str(path)
    helper(tmp_path, "x", {HOST: ["u", "secret"]})
    write(path, {"credsStore": "x"})
    told = find_login(HOST, env).origin
    assert told == f"the credential helper docker-credential-x that {path} names"
    env["DOCKER_AUTH_CONFIG"] = json.dumps(auths(HOST))
    assert find_login(HOST, env).origin == "$DOCKER_AUTH_CONFIG"
