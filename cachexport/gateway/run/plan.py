"""A command, and the caches that it reads and writes through a gateway."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachexport.contract.opening import expand, name_of, open_place
from cachexport.contract.spec import Spec, parse_spec
from cachexport.errors import CachexportError, InvalidInputError
from cachexport.gateway.http.access import Access, Token
from cachexport.gateway.http.refusal import Refusal
from cachexport.gateway.publishing import Publishing
from cachexport.gateway.run.configs import GatewayLogin, for_containers, for_docker
from cachexport.gateway.run.tools import Cached, recognise
from cachexport.gateway.shelf.names import Below, Forms, Single
from cachexport.gateway.shelf.origins import Origin, hosting
from cachexport.gateway.shelf.shelf import Shelf
from cachexport.model.envelope.manifest import (
    Form,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from cachexport.gateway.run.tools import Adapted, Tool
    from cachexport.gateway.shelf.names import Naming

_TAG = "cache"
_PASSED = ("mode", "ignore-error")
"""Attributes that are passed on to BuildKit's exporter, which acts on them too."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCache:
    """A cache that the command reads or writes."""

    spec: Spec
    repository: str
    is_target: bool
    publishing: Publishing


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A command, and the caches that it is to read and write."""

    tool: Tool
    caches: tuple[PlannedCache, ...]
    words: tuple[str, ...]
    token: str | None
    """The command's login; without one, its repositories have names that nobody guesses."""

    def adapted(self, host: str) -> Adapted:
        """Give the command with its caches, for a gateway that listens at `host`."""
        sources = [_cached(cache, host, self.tool) for cache in self.caches if not cache.is_target]
        targets = [_cached(cache, host, self.tool) for cache in self.caches if cache.is_target]
        tool, command = recognise(self.words)
        return tool.adapt(command, sources, targets)

    def find(self, repository: str) -> Publishing:
        """Give the publishing of a repository. Raises Refusal."""
        for cache in self.caches:
            if cache.repository == repository:
                return cache.publishing
        raise Refusal(404, "NAME_UNKNOWN", f"there is no {repository}")

    @property
    def access(self) -> Access:
        """Lets only the command in; it may push to targets, not to sources."""
        targets = tuple(cache.repository for cache in self.caches if cache.is_target)
        tokens = (Token(secret=self.token.encode()),) if self.token else None
        return Access(tokens=tokens, is_read_only=not targets, patterns=targets)

    def logged_in(
        self, host: str, env: Mapping[str, str], folder: Path
    ) -> tuple[RunPlan, dict[str, str]]:
        """Write the login at `host` into `folder`.

        Gives the plan of the command that finds it there, and the environment that names it. Raises
        InvalidInputError where the user's own logins cannot be read.
        """
        if self.token is None:
            return self, {}
        write = for_containers if self.tool.reads_registries_conf else for_docker
        login = GatewayLogin(host=host, token=self.token)
        words, named = write(login, self.words, env, folder)
        return replace(self, words=words), named

    def close(self) -> None:
        """Close the places of all caches."""
        for cache in self.caches:
            cache.publishing.shelf.close()


def plan(
    words: Sequence[str],
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    form: Form | None = None,
    limit: int,
    login: bool = True,
) -> RunPlan:
    """Prepare a command; nothing is run yet. Raises InvalidInputError. The caller closes it.

    `form` is the form to serve caches in; by default it is their own, or one that plain Docker
    reads. `limit` is the bytes of a config that builds can import. Without `login` the command gets
    none. Kaniko never gets one: files that it finds may end up in an image.
    """
    tool, _ = recognise(words)
    if form is None and tool.is_inline:
        form = Form.OCI_INDEX  # what Docker 20.10 reads
    froms = [spec for text in sources for spec in _expanded(text)]
    tos = [parse_spec(text) for text in targets]
    if not sources and not tos:
        raise InvalidInputError("give a --cache-from or a --cache-to")
    token = secrets.token_urlsafe(24) if login and not tool.single else None
    root = "" if token else f"{secrets.token_hex(16)}/"
    if tool.single:
        opening = _open_single(tool, f"{root}cache", froms, tos, limit)
    else:
        opening = _open_caches(tool, root, froms, tos, limit, form)
    return RunPlan(tool=tool, caches=_all(opening), words=tuple(words), token=token)


def _all(opening: Iterator[PlannedCache]) -> tuple[PlannedCache, ...]:
    """Open all caches; when one fails, close the others and raise."""
    opened: list[PlannedCache] = []
    try:
        for cache in opening:
            opened.append(cache)  # noqa: PERF402 - after an error those opened before are closed
    except BaseException:
        for cache in opened:
            cache.publishing.shelf.close()
        raise
    return tuple(opened)


def _open_caches(
    tool: Tool,
    root: str,
    froms: Sequence[Spec],
    tos: Sequence[Spec],
    limit: int,
    form: Form | None,
) -> Iterator[PlannedCache]:
    """Open a repository for each cache."""
    for n, spec in enumerate(froms, 1):
        yield _open_cache(tool, spec, f"{root}from{n}", limit, form)
    for n, spec in enumerate(tos, 1):
        merged = Spec(spec.type, {**spec.attrs, **({"merge": "true"} if tool.merges else {})})
        yield _open_cache(tool, merged, f"{root}to{n}", limit, form, is_target=True)


def _expanded(text: str) -> list[Spec]:
    """Give the SPECs of a source; none when it cannot be reached, for a build can do without."""
    try:
        return expand(text)
    except InvalidInputError:
        raise
    except CachexportError as error:
        _log.warning("reading nothing from %s: %s", parse_spec(text), error)
        return []


def _open_cache(
    tool: Tool,
    spec: Spec,
    repository: str,
    limit: int,
    form: Form | None = None,
    *,
    is_target: bool = False,
    upstream: Sequence[Origin] = (),
) -> PlannedCache:
    naming = _naming(tool, spec, repository)
    forms = Forms(() if form is None else (("*", form),))
    place = hosting(open_place(spec))
    origins = [Origin(place, is_store=True), *upstream]
    shelf = Shelf(place=place, origins=origins, naming=naming, forms=forms)
    publishing = Publishing(shelf=shelf, limit=limit, only_caches=tool.is_inline)
    return PlannedCache(
        spec=spec, repository=repository, is_target=is_target, publishing=publishing
    )


def _naming(tool: Tool, spec: Spec, repository: str) -> Naming:
    name = name_of(spec)
    if tool.many_tags:
        return Below(repository=repository, target=name)
    return Single(repository=repository, tag=_TAG, target=name)


def _open_single(
    tool: Tool, repository: str, froms: Sequence[Spec], tos: Sequence[Spec], limit: int
) -> Iterator[PlannedCache]:
    """Open the one repository of a tool that uses no more; the other caches are its upstream."""
    if len(tos) > 1:
        raise InvalidInputError("kaniko writes one cache; give one --cache-to")
    if tos or froms:
        [first, *others] = [*tos, *froms]
        upstream = [
            Origin(hosting(open_place(spec)), naming=_naming(tool, spec, repository))
            for spec in others
        ]
        yield _open_cache(tool, first, repository, limit, is_target=bool(tos), upstream=upstream)


def _cached(cache: PlannedCache, host: str, tool: Tool) -> Cached:
    ref = f"{host}/{cache.repository}"
    attrs = {key: cache.spec.attrs[key] for key in _PASSED if key in cache.spec.attrs}
    if tool.many_tags:
        return Cached(ref=ref)
    return Cached(ref=f"{ref}:{_TAG}", attrs=attrs if cache.is_target else {})
