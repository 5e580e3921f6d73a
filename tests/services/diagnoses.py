"""What the tests of `doctor` on registries share."""

from __future__ import annotations

import base64
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import caches
from support.services.registry import Registry

from cachexport.contract.checks import Finding, Outcome
from cachexport.doctor.engine import doctor
from cachexport.testing.services import answers, free_port, program, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.services.logins import Login

    from cachexport.doctor.engine import Diagnosis

TAG = re.compile(r"cachexport-doctor-[0-9a-f]{16}")
MAX = f"type=local,src={caches.FOLDER / 'max'}"
READING = ["reach", "login", "clock", "read"]
FORMS = ["image-manifest", "oci-index", "docker-list"]


def log_in(home: Path, host: str, login: Login) -> None:
    pair = base64.b64encode(f"{login.name}:{login.password}".encode()).decode()
    config = home / ".docker" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"auths": {host: {"auth": pair}}}))


def spec(host: str, repo: str, attrs: str = "") -> str:
    return f"type=registry,ref={host}/{repo}:cache" + (attrs and f",{attrs}")


def found(diagnosis: Diagnosis) -> dict[str, Finding]:
    return {result.check: result.finding for result in diagnosis.results}


def examine(host: str, repo: str, attrs: str = "") -> dict[str, Finding]:
    return found(doctor(spec(host, repo, attrs)))


def outcomes(checks: dict[str, Finding]) -> dict[str, str]:
    """Give those that are not simply good."""
    good = Outcome.OK
    return {name: str(it.outcome) for name, it in checks.items() if it.outcome is not good}


@contextmanager
def undeletable(folder: Path) -> Iterator[Registry]:
    """Run a registry as Debian configures it: nothing can be deleted."""
    host, path = f"127.0.0.1:{free_port()}", folder / "config.yml"
    registry = Registry(host, "http", folder / "storage")
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(registry.root)}},
        "http": {"addr": host, "secret": "of the tests"},
    }
    path.write_text(json.dumps(config))
    argv = [program("docker-registry"), "serve", str(path)]
    with running(argv, folder / "registry.log", lambda _: answers(int(host.rpartition(":")[2]))):
        yield registry
