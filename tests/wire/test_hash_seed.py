"""The same bytes whatever Python's hash seed is: nothing depends on the order of a set."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
SCRIPT = """
import hashlib
from support import vectors
hasher = hashlib.sha256()
for name in ("chains-natural", "chains-wild"):
    for row in vectors.rows(name):
        config, sources = vectors.build(row).marshal()
        hasher.update(config.encode())
        hasher.update(repr(list(sources)).encode())
print(hasher.hexdigest())
"""


def run(seed):
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": path}
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


def test_no_hash_seed_changes_a_byte():
    assert len({run(seed) for seed in (0, 1, 2, 42)}) == 1
