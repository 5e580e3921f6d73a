"""Many writers of one name: whatever happens to them, what was reported as written is there."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.services.faulty_proxy import FaultyProxy

from cachexport import Digest, import_cache

if TYPE_CHECKING:
    from support.services.s3 import S3

WRITERS = 16
JOB = """
import sys
from cachexport import *

name, spec = sys.argv[1:]
blob = name.encode()
desc = Descriptor.of(blob, "application/vnd.oci.image.layer.v1.tar")
chains = CacheChains()
base = chains.add(Digest.of(b"base"))
result = CacheResult("2026-01-01T00:00:00Z", Remote([desc], MemoryContent([blob])))
chains.add(Digest.of(blob), [[CacheLink(base)]], [result])
print("begun", flush=True)
export_cache(chains, spec)
"""


def job(name: str, spec: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", JOB, name, spec]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def spec(s3: S3, prefix: str, endpoint: str) -> str:
    login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
    where = f"endpoint_url={endpoint},bucket={s3.shared},region=us-east-1,prefix={prefix}"
    return f"type=s3,{where},{login},retry_max_attempts=10"


def steps(source: str) -> set[str]:
    config, _ = import_cache(source).marshal()
    return {record.digest for record in config.records if record.results}


def digests(names: list[str]) -> set[str]:
    return {Digest.of(name.encode()) for name in names}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", ["none", "killed", "every tenth request"])
def test_nobody_who_was_told_so_is_lost(s3: S3, prefix: str, fault: str) -> None:
    names = [f"job {number}" for number in range(WRITERS)]
    with FaultyProxy(s3.endpoint, 10 if fault == "every tenth request" else 0) as proxy:
        endpoint = s3.endpoint if fault == "none" else proxy.url
        target = f"{spec(s3, prefix, endpoint)},merge=true"
        jobs = {name: job(name, target) for name in names}
        if fault == "killed":
            for name in names[::5]:
                assert jobs[name].stdout.readline()  # type: ignore[union-attr]
                jobs[name].kill()
        said = {name: running.communicate()[1] for name, running in jobs.items()}
        done = [name for name, running in jobs.items() if running.returncode == 0]
    killed = names[::5] if fault == "killed" else []
    assert {name for name in names if name not in done} <= set(killed), said
    assert digests(done) <= steps(spec(s3, prefix, s3.endpoint)) <= digests(names)
