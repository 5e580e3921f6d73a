"""Every backend that we have on a real service, with what the tests of each have for that."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "cachexport-gha" / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cachexport-azblob" / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cachexport-fsspec" / "tests"))

from azurite import running_azurite
from github import running_github
from places import running_gcs, running_sshd
from support.services.registry import running_registry
from support.services.seaweed import running_seaweed

from cachexport.testing import inherit_nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    inherit_nothing(config)


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], dict[str, str]]]:
    """Give what gives a SPEC for each backend, of a place that nobody else has."""

    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    with ExitStack() as stack:
        registry = stack.enter_context(running_registry(folder("registry")))
        s3 = stack.enter_context(running_seaweed(folder("seaweed")))
        azurite = stack.enter_context(running_azurite(folder("azurite")))
        gcs = stack.enter_context(running_gcs(folder("gcs")))
        sftp = stack.enter_context(running_sshd(folder("sshd")))
        github = stack.enter_context(running_github(azurite))
        login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
        bucket = f"endpoint_url={s3.endpoint},bucket={s3.shared},region=us-east-1"

        def fresh() -> dict[str, str]:
            name = uuid4().hex
            return {
                "registry": f"type=registry,ref={registry.host}/tests/{name}:cache",
                "s3": f"type=s3,{bucket},prefix={name}/,{login}",
                "azblob": azurite.spec(azurite.fresh()),
                "fsspec, a bucket": gcs.spec(gcs.fresh()),
                "fsspec, files": sftp.spec(sftp.fresh()),
                "gha": github.spec(f"scope={name}"),
            }

        yield fresh
