"""Builds that need no base image, and what BuildKit says about them."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachexport.testing.services import program
from support import TESTS

if TYPE_CHECKING:
    from pathlib import Path

TOOL = TESTS / "wire" / "caches" / "dockerfiles" / "tool.c"
DOCKERFILE = """\
FROM scratch AS base
COPY tool /bin/tool
RUN ["/bin/tool", "/base", "base"]
FROM base AS app
COPY source /source
RUN ["/bin/tool", "/app", "made of {source}"]
FROM base
COPY --from=app /app /app
ENTRYPOINT ["/bin/tool"]
"""
_STEP = re.compile(r"#(\d+) (\[(?:[^]]+ )?\d+/\d+\] .*)")
_CACHED = re.compile(r"#(\d+) CACHED")


def compile_tool(path: Path) -> Path:
    """Make the static program that writes its arguments into a file."""
    flags = ["-static", "-nostdlib", "-O1", "-o"]
    subprocess.run([program("gcc"), *flags, str(path), str(TOOL)], check=True)
    return path


def write_context(
    folder: Path, tool: Path, source: str = "one", dockerfile: str = DOCKERFILE
) -> Path:
    """Make the folder of a build; builds of different sources share the steps of `base`."""
    folder.mkdir()
    shutil.copy2(tool, folder / "tool")
    (folder / "source").write_text(source)
    (folder / "Dockerfile").write_text(dockerfile.replace("{source}", source))
    return folder


@dataclass(frozen=True)
class Step:
    name: str
    cached: bool


@dataclass(frozen=True)
class BuildLog:
    """A build's plain output, and the Dockerfile's steps in it, by name.

    A step that nothing needed, since what came after was cached, is not among them.
    """

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> BuildLog:
        lines = text.splitlines()
        names = {match[2]: match[1] for match in map(_STEP.fullmatch, lines) if match}
        cached = {match[1] for match in map(_CACHED.fullmatch, lines) if match}
        return cls(text, tuple(Step(name, names[name] in cached) for name in sorted(names)))

    @property
    def cached(self) -> list[str]:
        return [step.name for step in self.steps if step.cached]

    @property
    def executed(self) -> list[str]:
        return [step.name for step in self.steps if not step.cached]
