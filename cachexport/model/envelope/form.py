"""The three forms of manifest that BuildKit wraps a cache config in."""

from __future__ import annotations

from enum import StrEnum

from cachexport.oci import mediatype


class Form(StrEnum):
    """A form, named as people know it."""

    IMAGE_MANIFEST = "image-manifest"
    OCI_INDEX = "oci-index"
    DOCKER_LIST = "docker-list"

    @property
    def media_type(self) -> str:
        """The media type of a manifest of this form."""
        return _MEDIA_TYPES[self]

    def layer_type(self, media_type: str) -> str:
        """Spell a layer's media type as this form wants it."""
        if self is Form.DOCKER_LIST:
            return mediatype.to_docker(media_type)
        return mediatype.to_oci(media_type)


_MEDIA_TYPES = {
    Form.IMAGE_MANIFEST: mediatype.OCI_MANIFEST,
    Form.OCI_INDEX: mediatype.OCI_INDEX,
    Form.DOCKER_LIST: mediatype.DOCKER_MANIFEST_LIST,
}


def requested_form(
    image_manifest: bool | None, oci_mediatypes: bool | None, source: Form | None = None
) -> Form:
    """Give the form that these attributes ask for; absent ones mean as the source has it.

    Without a source it is BuildKit's default, the image manifest; `oci_mediatypes=False` alone
    implies `image_manifest=False`, as in BuildKit.
    """
    if oci_mediatypes is False:
        return Form.DOCKER_LIST
    if image_manifest is not None:
        docker = source is Form.DOCKER_LIST and oci_mediatypes is None and not image_manifest
        index = Form.DOCKER_LIST if docker else Form.OCI_INDEX
        return Form.IMAGE_MANIFEST if image_manifest else index
    if oci_mediatypes and source is Form.DOCKER_LIST:
        return Form.OCI_INDEX
    return source or Form.IMAGE_MANIFEST
