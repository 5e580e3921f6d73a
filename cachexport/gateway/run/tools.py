"""How each build tool is made to read and write caches in a registry without TLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from cachexport.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_KNOWN = (
    "docker build, docker buildx build, docker buildx bake, buildctl build, buildah build, "
    "podman build, kaniko's executor; buildx and docker-buildx stand for docker buildx"
)
_VALUED = frozenset(
    {
        *("-H", "--host", "-c", "--context", "--config", "-l", "--log-level", "--builder"),
        *("--tlscacert", "--tlscert", "--tlskey"),
        *("--addr", "--tlsservername", "--tlsdir", "--timeout", "--log-format"),
        *("--root", "--runroot", "--storage-driver", "--storage-opt", "--imagestore", "--module"),
        *("--registries-conf", "--registries-conf-dir", "--short-name-alias-conf", "--tmpdir"),
        *("--userns-uid-map", "--userns-gid-map", "--default-mounts-file", "--cdi-spec-dir"),
        *("--cgroup-manager", "--conmon", "--events-backend", "--hooks-dir", "--runtime"),
        *("--runtime-flag", "--network-cmd-path", "--network-config-dir", "--volumepath"),
        *("--url", "--connection", "--identity", "--ssh", "--namespace", "--out"),
    }
)
"""Options before a verb whose next word is their value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """A cache as a tool names it."""

    ref: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    """Attributes for BuildKit's exporter beside the reference, such as `mode`."""

    def spec(self) -> str:
        """Give the value of `--cache-from` or `--cache-to` in BuildKit's tools."""
        words = {"type": "registry", "ref": self.ref, **self.attrs}
        return ",".join(f"{key}={value}" for key, value in words.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """A command line with its caches."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that it needs, unless its environment sets them already."""
    after: tuple[tuple[str, ...], ...] = ()
    """Commands to run when it succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A build tool: how its command line names caches, and what is special about it."""

    adapt: Callable[[Command, Sequence[Cached], Sequence[Cached]], Adapted]
    many_tags: bool = False
    """Whether it makes up a tag for each step, so that its caches are repositories."""
    is_inline: bool = False
    """Whether it writes inline caches, in images that it pushes."""
    merges: bool = False
    """Whether it may write one cache several times, which must be merged."""
    reads_registries_conf: bool = False
    """Whether it reads in that file which registries have no TLS. Its option is for all of them."""
    single: bool = False
    """Whether it reads and writes in one repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, split behind the verb that takes the options."""

    head: tuple[str, ...]
    tail: tuple[str, ...]

    def given(self, *options: str) -> tuple[str, ...]:
        """Give the words with options before all others."""
        return (*self.head, *options, *self.tail)


def recognise(words: Sequence[str]) -> tuple[Tool, Command]:
    """Say which tool a command runs. Raises InvalidInputError for an unknown one."""
    if not words:
        raise InvalidInputError("no command is given; put it behind --")
    program = PurePath(words[0]).name
    if program in ("executor", "kaniko"):
        return _KANIKO, Command(head=tuple(words[:1]), tail=tuple(words[1:]))
    at = _verb(words, 1)
    verb = words[at] if at < len(words) else ""
    if (program, verb) in _GROUPS:
        at = _verb(words, at + 1)
        program = _GROUPS[program, verb]
        verb = words[at] if at < len(words) else ""
    tool = _TOOLS.get((program.removeprefix("docker-"), verb))
    if tool is None:
        command = f"{program} {verb}".rstrip()
        raise InvalidInputError(f"{command!r} is no build tool that is known here ({_KNOWN})")
    return tool, Command(head=tuple(words[: at + 1]), tail=tuple(words[at + 1 :]))


def _verb(words: Sequence[str], at: int) -> int:
    """Give the position of the first word that is neither an option nor the value of one."""
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _VALUED else 1
    return at


def _build(command: Command, sources: Sequence[Cached], targets: Sequence[Cached]) -> Adapted:
    options = [f"--cache-from={each.spec()}" for each in sources]
    options += [f"--cache-to={each.spec()}" for each in targets]
    return Adapted(words=command.given(*options))


def _bake(command: Command, sources: Sequence[Cached], targets: Sequence[Cached]) -> Adapted:
    options = [f"--set=*.cache-from={each.spec()}" for each in sources]
    options += [f"--set=*.cache-to={each.spec()}" for each in targets]
    return Adapted(words=command.given(*options))


def _buildctl(command: Command, sources: Sequence[Cached], targets: Sequence[Cached]) -> Adapted:
    options = [f"--import-cache={each.spec()}" for each in sources]
    options += [f"--export-cache={each.spec()}" for each in targets]
    return Adapted(words=command.given(*options))


def _buildah(command: Command, sources: Sequence[Cached], targets: Sequence[Cached]) -> Adapted:
    options = ["--layers"]
    options += [f"--cache-from={each.ref}" for each in sources]
    options += [f"--cache-to={each.ref}" for each in targets]
    return Adapted(words=command.given(*options))


def _kaniko(command: Command, sources: Sequence[Cached], targets: Sequence[Cached]) -> Adapted:
    if not (targets or sources):
        return Adapted(words=command.given())
    [only] = targets or sources
    host = only.ref.partition("/")[0]
    options = ["--cache=true", f"--cache-repo={only.ref}", f"--insecure-registry={host}"]
    if not targets:
        options.append("--no-push-cache")  # else it fails at once where it may not push
    return Adapted(words=command.given(*options))


def _docker(command: Command, sources: Sequence[Cached], targets: Sequence[Cached]) -> Adapted:
    """Docker's own builder exports no caches, so an image with an inline cache is pushed."""
    docker = command.head[: _verb(command.head, 1)]
    options = [f"--cache-from={each.ref}" for each in sources]
    if targets:
        options += ["--build-arg=BUILDKIT_INLINE_CACHE=1"]
        options += [f"--tag={each.ref}" for each in targets]
    after = [(*docker, "push", "--quiet", each.ref) for each in targets]
    if _has_tag(command.tail):  # else this is the image's only name
        after += [(*docker, "image", "rm", each.ref) for each in targets]
    return Adapted(words=command.given(*options), env={"DOCKER_BUILDKIT": "1"}, after=tuple(after))


def _has_tag(words: Sequence[str]) -> bool:
    return any(word in ("-t", "--tag") or word.startswith(("-t", "--tag=")) for word in words)


_KANIKO = Tool(adapt=_kaniko, many_tags=True, single=True)
_STEPS = Tool(adapt=_buildah, many_tags=True, reads_registries_conf=True)
_GROUPS = {
    ("docker", "buildx"): "buildx",
    ("docker", "builder"): "docker",
    ("docker", "image"): "docker",
    ("podman", "image"): "podman",
}
"""Verbs that have verbs of their own, and the tool that those belong to."""
_TOOLS = {
    ("docker", "build"): Tool(adapt=_docker, is_inline=True),
    ("buildx", "build"): Tool(adapt=_build),
    ("buildx", "b"): Tool(adapt=_build),
    ("buildx", "bake"): Tool(adapt=_bake, merges=True),
    ("buildx", "f"): Tool(adapt=_bake, merges=True),
    ("buildctl", "build"): Tool(adapt=_buildctl),
    ("buildctl", "b"): Tool(adapt=_buildctl),
    ("buildah", "build"): _STEPS,
    ("buildah", "bud"): _STEPS,
    ("podman", "build"): _STEPS,
}
