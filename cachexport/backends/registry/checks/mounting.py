"""Taking blobs over from a repository of the same registry, without their being sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachexport.backends.registry.checks.desk import Role
from cachexport.backends.registry.errors import network
from cachexport.content.verify import read_blob
from cachexport.contract.checks import note, ok, warning
from cachexport.contract.reading import METADATA_LIMIT
from cachexport.errors import CachexportError, NotFound
from cachexport.model.envelope.manifest import decode_manifest
from cachexport.oci import gojson, mediatype

if TYPE_CHECKING:
    from cachexport.backends.registry.checks.desk import Desk
    from cachexport.backends.registry.checks.manifests import Writing
    from cachexport.contract.checks import Finding
    from cachexport.oci.descriptor import Descriptor

_MANIFESTS = mediatype.MANIFESTS | mediatype.INDEXES


class Mounting:
    """The check of mounts, from the repositories of `mount-from` if there are any."""

    def __init__(self, desk: Desk, writing: Writing) -> None:
        self._desk = desk
        self._writing = writing

    def mount(self) -> Finding:
        """See whether blobs are taken over."""
        others = self._desk.attrs.other_repositories()
        if not others:
            return self._mount_here()
        problems = [f"{name}: {why}" for name in others if (why := self._problem(name))]
        if not problems:
            # It may be a blob that an export counts on by now: it is not deleted.
            text = f"a blob each is taken over from {', '.join(others)}, and stays"
            return ok(text, mounted=True)
        return warning(
            f"nothing is taken over from {'; '.join(problems)}",
            "allow this login to pull there, or leave it out of mount-from",
            mounted=False,
        )

    def _mount_here(self) -> Finding:
        """Try it with the only repository that is known, which tells whether it is done at all."""
        desc, name = self._writing.cache.layer_descriptor, self._desk.reference.repository
        if self._desk.repository(Role.WRITER).mounts.mount(desc, name):
            return ok("blobs are taken over, as tried within the repository", mounted=True)
        return note(
            "blobs are not taken over, as tried within the repository: mount-from would save "
            "nothing",
            mounted=False,
        )

    def _problem(self, name: str) -> str:
        """Say why nothing can be taken over from a repository; empty if something was."""
        try:
            desc = self._any_blob(name)
        except NotFound:
            return "it is not there"
        except CachexportError as error:
            return str(error)
        if desc is None:
            return "it has no tag with blobs to try it with"
        taken = self._desk.repository(Role.WRITER).mounts.mount(desc, name)
        return "" if taken else "the registry does not do so"

    def _any_blob(self, name: str) -> Descriptor | None:
        client, repository = self._desk.other_repository(name)
        op = f"list the tags of {repository.place}"
        response = client.call("GET", f"/v2/{name}/tags/list?n=1", op=op, expect=(200,))
        with network(op, client.host):
            tags = _tags(response.read())
        if not tags:
            return None
        desc = repository.resolve(tags[0])
        manifest = decode_manifest(read_blob(repository, desc, limit=METADATA_LIMIT))
        named = (manifest.config, *manifest.layers, *manifest.manifests)
        return next((item for item in named if item and item.media_type not in _MANIFESTS), None)


def _tags(raw: bytes) -> list[str]:
    """Read a list of tags; a registry has null for none."""
    found = gojson.fields(gojson.loads(raw), frozenset({"tags"}), "").get("tags")
    return [gojson.string(tag, "tags") for tag in gojson.array(found, "tags")]
