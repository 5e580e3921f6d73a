"""Services for a test to ask for; see tests/support/services."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from support.services.browser import running_chromium
from support.services.builds import compile_tool, write_context
from support.services.dockerd import Dockerd, running_dockerd
from support.services.logins import ALICE, READER
from support.services.moto_server import running_moto
from support.services.registry import Registry, running_registry
from support.services.scripted import ScriptedRegistry
from support.services.seaweed import running_seaweed
from support.services.tls import Authority
from support.services.token_server import TokenServer, running_token_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser
    from support.services.s3 import S3

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("services")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Give a registry that is open to all, and shared: use repositories of the test's own."""
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def repo() -> str:
    """Give the name of a repository that no other test uses."""
    return f"tests/{uuid4().hex}"


@pytest.fixture(scope="session")
def tls_registry(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Registry]:
    """Give a shared registry whose certificate only `authority` vouches for."""
    with running_registry(tmp_path_factory.mktemp("tls"), authority=authority) as running:
        yield running


@pytest.fixture(scope="session")
def htpasswd_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Give a shared registry that asks for ALICE's or READER's password and lets both do all."""
    folder = tmp_path_factory.mktemp("htpasswd")
    with running_registry(folder, logins=[ALICE, READER]) as running:
        yield running


@pytest.fixture
def tokens(authority: Authority) -> Iterator[TokenServer]:
    """Give a token server where ALICE may do all, READER may pull, and nobody else anything."""
    with running_token_server(authority, [ALICE, READER]) as server:
        yield server


@pytest.fixture
def token_registry(tmp_path: Path, tokens: TokenServer) -> Iterator[Registry]:
    folder = tmp_path / "token-registry"
    folder.mkdir()
    with running_registry(folder, tokens=tokens) as running:
        yield running


@pytest.fixture
def scripted() -> Iterator[ScriptedRegistry]:
    with ScriptedRegistry() as running:
        yield running


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Give a shared SeaweedFS: use `prefix` in its bucket `shared`, or `bucket`."""
    with running_seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """Give the beginning of keys that no other test uses; with its slash."""
    return f"{uuid4().hex}/"


@pytest.fixture
def bucket(s3: S3) -> Iterator[str]:
    """Give a bucket of the test's own; its first object takes 0.2 s, where `prefix` takes none."""
    with s3.bucket() as name:
        yield name


@pytest.fixture(scope="session")
def moto_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """Give a shared moto, for errors that SeaweedFS does not make."""
    with running_moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Give a shared Chromium without a window; open a context of the test's own in it."""
    with running_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def dockerds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Dockerd]]:
    """Give the shared daemon of a number, started when it is first asked for."""
    daemons: dict[int, Dockerd] = {}
    with ExitStack() as stack:

        def numbered(number: int) -> Dockerd:
            if number not in daemons:
                folder = tmp_path_factory.mktemp("dockerd")
                daemons[number] = stack.enter_context(running_dockerd(folder))
            return daemons[number]

        yield numbered


@pytest.fixture
def dockerd(dockerds: Callable[[int], Dockerd]) -> Dockerd:
    """Give a docker daemon without any image or build cache."""
    daemon = dockerds(1)
    daemon.prune_all()
    return daemon


@pytest.fixture
def other_dockerd(dockerds: Callable[[int], Dockerd]) -> Dockerd:
    """Give a second one, as empty, that shares nothing with the first."""
    daemon = dockerds(2)
    daemon.prune_all()
    return daemon


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tool(tmp_path_factory.mktemp("tool") / "tool")


@pytest.fixture
def context(tmp_path: Path, tool: Path) -> Callable[[str], Path]:
    """Write the context of a build with this source."""
    return lambda source: write_context(tmp_path / f"context-{source}", tool, source)


@pytest.fixture(params=["local", "registry", "s3"])
def kind(request: pytest.FixtureRequest) -> str:
    """Go through the backends."""
    return str(request.param)


@pytest.fixture
def places(
    tmp_path: Path, registry: Registry, repo: str, s3: S3, prefix: str
) -> Callable[[str], Callable[[str], str]]:
    """Give what names a cache in a place of the test's own, of any kind."""
    login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
    where = f"endpoint_url={s3.endpoint},bucket={s3.shared},region=us-east-1,prefix={prefix}"
    patterns = {
        "local": f"type=local,dest={tmp_path / 'place'},src={tmp_path / 'place'},tag=%s",
        "registry": f"type=registry,ref={registry.host}/{repo}:%s",
        "s3": f"type=s3,{where},{login},name=%s",
    }
    return lambda kind: patterns[kind].__mod__


@pytest.fixture
def spec(kind: str, places: Callable[[str], Callable[[str], str]]) -> Callable[[str], str]:
    """Give what names a cache in a place of this kind."""
    return places(kind)
