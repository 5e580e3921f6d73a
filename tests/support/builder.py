"""A build tool as a registry sees it, to be run as a program: it builds nothing.

It reads the caches that it is told of and writes the layout BUILDER_LAYOUT under those that it is
to write, as buildctl, docker or kaniko's executor, whichever name it has. It appends its arguments
to the file BUILDER_LOG, tells in JSON what came of it all, and ends with BUILDER_EXIT.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

REF = re.compile(r"(127\.0\.0\.1:\d+)/([^:,]+)(?::([^,]+))?")
STEP = "step"
"""The tag that kaniko makes up here."""


def install(folder: Path, program: str) -> str:
    """Make it a program of this name, and give its path."""
    path = folder / program
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$0" "$@"\n')
    path.chmod(0o755)
    return str(path)


@dataclass
class Cache:
    """What one reference names."""

    host: str
    repository: str
    tag: str
    seen: list[int] = field(default_factory=list)
    """The statuses of all answers."""

    @classmethod
    def of(cls, word: str) -> Cache:
        found = REF.search(word)
        assert found is not None, word
        return cls(found[1], found[2], found[3] or STEP)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """Give status, type and content of an answer."""
        with closing(HTTPConnection(self.host, timeout=30)) as connection:
            headers = {"Authorization": f"Basic {login}"} if (login := _login(self.host)) else {}
            connection.request(method, f"/v2/{self.repository}/{path}", body, headers)
            answer = connection.getresponse()
            self.seen.append(answer.status)
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()

    def pull(self) -> str:
        """Read all of it, and give its type; empty when there is none."""
        status, kind, raw = self.ask("GET", f"manifests/{self.tag}")
        if status != 200:
            return ""
        manifest = json.loads(raw)
        config = [manifest["config"]] if "config" in manifest else []
        named = [*config, *manifest.get("layers", []), *manifest.get("manifests", [])]
        for digest in {desc["digest"] for desc in named}:
            self.ask("GET", f"blobs/{digest}")
        return kind

    def push(self, layout: Path) -> int:
        """Write the layout, and give the status of the last answer."""
        [entry] = json.loads((layout / "index.json").read_text())["manifests"]
        blobs = layout / "blobs" / "sha256"
        manifest = blobs / entry["digest"].partition(":")[2]
        for path in sorted(blobs.iterdir()):
            digest = f"sha256:{path.name}"
            if path != manifest and self.ask("HEAD", f"blobs/{digest}")[0] == 404:
                self.ask("POST", f"blobs/uploads/?digest={digest}", path.read_bytes())
        return self.ask("PUT", f"manifests/{self.tag}", manifest.read_bytes())[0]


def _login(host: str) -> str:
    config = Path(os.environ.get("DOCKER_CONFIG", "/nowhere"), "config.json")
    auths = json.loads(config.read_text())["auths"] if config.is_file() else {}
    return str(auths.get(host, {}).get("auth", ""))


def _given(words: list[str], *options: str) -> list[Cache]:
    return [Cache.of(word) for word in words if word.startswith(tuple(f"{o}=" for o in options))]


def _build(words: list[str], layout: Path) -> dict[str, Any]:
    sources = _given(words, "--import-cache", "--cache-from", "--cache-repo")
    targets = _given(words, "--export-cache", "--cache-repo")
    return {
        "pulled": [source.pull() for source in sources],
        "written over sources": [source.ask("POST", "blobs/uploads/")[0] for source in sources],
        "pushed": [target.push(layout) for target in targets],
    }


def main(program: str, words: list[str]) -> int:
    with open(os.environ["BUILDER_LOG"], "a") as log:
        log.write(f"{' '.join([Path(program).name, *words])}\n")
    layout = Path(os.environ.get("BUILDER_LAYOUT", "/nowhere"))
    if "push" in words:
        return 0 if Cache.of(words[-1]).push(layout) == 201 else 1
    if "image" in words:
        return 0
    told = {**_build(words, layout), "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT")}
    print(json.dumps(told))
    return int(os.environ.get("BUILDER_EXIT", "0"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
