"""`type=registry`: reading caches, and the backend that opens sources, targets and places."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cachexport.backends.registry.attrs import (
    RegistryExport,
    RegistryImport,
    read_export,
    read_image_push,
    read_import,
)
from cachexport.backends.registry.client import Client
from cachexport.backends.registry.connections import Pools, Proxies
from cachexport.backends.registry.login import Authorizer, find_login
from cachexport.backends.registry.repository import Repository
from cachexport.contract.reading import read_caches
from cachexport.contract.spec import Spec
from cachexport.errors import InvalidAttr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cachexport.backends.registry.attrs import RegistryConnection
    from cachexport.backends.registry.checks.table import RegistryProbe
    from cachexport.backends.registry.place import RegistryPlace
    from cachexport.backends.registry.target import RegistryImageTarget, RegistryTarget
    from cachexport.content.protocols import Provider
    from cachexport.model.envelope.cache import Cache
    from cachexport.oci.descriptor import Descriptor
    from cachexport.oci.reference import Reference


class RegistrySource:
    """A Source over what a reference names: a cache, or images with inline caches."""

    def __init__(self, ref: Reference, repository: Repository) -> None:
        self._ref = ref
        self._repository = repository

    @property
    def provider(self) -> Provider:
        """See Source."""
        return self._repository

    def load(self) -> tuple[Cache, ...]:
        """See Source."""
        return read_caches(self._repository, self.resolve())

    def resolve(self) -> Descriptor:
        """See ImageSource."""
        return self._repository.resolve(self._ref.target)

    def close(self) -> None:
        """See Source."""
        self._repository.close()


class RegistryBackend:
    """A Backend. `env` has logins and proxies, by default those of the process."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env

    def attributes(self) -> tuple[type, type]:
        """See Described."""
        return RegistryImport, RegistryExport

    def source(self, spec: Spec, /) -> RegistrySource:
        """See Backend."""
        attrs = read_import(spec)
        return RegistrySource(attrs.ref, self._repository(attrs.ref, attrs, "pull"))

    def target(self, spec: Spec, /) -> RegistryTarget:
        """See Backend."""
        from cachexport.backends.registry.target import RegistryTarget

        attrs = read_export(spec)
        if attrs.ref.digest is not None:
            message = f"a cache cannot be written to a digest: {attrs.ref}; name a tag"
            raise InvalidAttr("ref", message)
        mount_from = attrs.other_repositories()
        return RegistryTarget(attrs, self._repository(attrs.ref, attrs, "pull,push", mount_from))

    def image_target(self, spec: Spec, /) -> RegistryImageTarget:
        """See ImageBackend."""
        from cachexport.backends.registry.target import RegistryImageTarget

        attrs = read_image_push(spec)
        if attrs.ref.digest is not None:
            message = f"an image cannot be pushed to a digest: {attrs.ref}; name a tag"
            raise InvalidAttr("ref", message)
        mount_from = attrs.other_repositories()
        return RegistryImageTarget(
            attrs, self._repository(attrs.ref, attrs, "pull,push", mount_from)
        )

    def _repository(
        self,
        ref: Reference,
        connection: RegistryConnection,
        actions: str,
        mount_from: tuple[str, ...] = (),
    ) -> Repository:
        pools = Pools(connection, Proxies(self._env))
        authorizer = Authorizer(ref.host, lambda: find_login(ref.host, self._env), pools)
        scope = f"repository:{ref.repository}:{actions}"
        client = Client(ref.host, scope, connection, authorizer, pools)
        return Repository(client, ref.repository, connection.parallelism, mount_from)

    def place(self, spec: Spec, /) -> RegistryPlace:
        """See PlaceBackend: all tags of the repository, whatever tag or pattern is given."""
        from cachexport.backends.registry.place import RegistryPlace

        name, _, _ = _split_tag(spec)
        given = {**spec.attrs, "ref": name}
        attrs = read_export(Spec(spec.type, given))

        def tagged(tag: str, *, force: bool = False) -> Spec:
            forced = {"force": "true"} if force else {}
            return Spec(spec.type, {**given, "ref": f"{name}:{tag}", **forced})

        repository = self._repository(attrs.ref, attrs, "pull")
        return RegistryPlace(repository, tagged, tagged, attrs.parallelism)

    def name(self, spec: Spec, /) -> str | None:
        """See PlaceBackend."""
        _, tag, digest = _split_tag(spec)
        return None if digest else tag or "latest"

    def probe(self, spec: Spec, /) -> RegistryProbe:
        """See Probing."""
        from cachexport.backends.registry.checks.desk import RegistryDesk
        from cachexport.backends.registry.checks.table import RegistryProbe

        attrs = read_export(spec)
        return RegistryProbe(RegistryDesk(attrs, self._env))


def _split_tag(spec: Spec) -> tuple[str, str, str]:
    """Give repository, tag and digest of a reference whose tag may be a pattern."""
    named, _, digest = spec.attrs.get("ref", "").partition("@")
    folder, slash, last = named.rpartition("/")
    last, _, tag = last.partition(":")
    return folder + slash + last, tag, digest


backend = RegistryBackend()
