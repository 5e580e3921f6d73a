"""Images: their configs, and archives of them.

Public are the names below.

- `empty_config`, `complete_config`: the config of an image, as BuildKit writes it; by hand with
  `parse_history`, `normalise_history` and `patch_config`.
- `Settings`, `change_settings`: how an image runs, its entrypoint, variables, labels.
- `encode_image_manifest`, `normalise_layers`: the manifest of an image.
- `open_docker_archive`: the images in an archive.
- `write_docker_archive`, `save_docker_archive`: an image as an archive, into a stream or a file.
- `write_oci_archive`, `save_oci_archive`: an image, or an index of images, as an OCI archive.
- `select_image`, `read_config`: the image for a platform, and its config.
"""

from cachexport.images.archive.read import ArchivedImage, DockerArchive, open_docker_archive
from cachexport.images.archive.write import (
    save_docker_archive,
    save_oci_archive,
    write_docker_archive,
    write_oci_archive,
)
from cachexport.images.config.config import complete_config, empty_config, patch_config
from cachexport.images.config.history import HistoryEntry, normalise_history, parse_history
from cachexport.images.config.settings import Settings, change_settings
from cachexport.images.image import Image, read_config, select_image
from cachexport.images.manifest import encode_image_manifest, normalise_layers

__all__ = [
    "ArchivedImage",
    "DockerArchive",
    "HistoryEntry",
    "Image",
    "Settings",
    "change_settings",
    "complete_config",
    "empty_config",
    "encode_image_manifest",
    "normalise_history",
    "normalise_layers",
    "open_docker_archive",
    "parse_history",
    "patch_config",
    "read_config",
    "save_docker_archive",
    "save_oci_archive",
    "select_image",
    "write_docker_archive",
    "write_oci_archive",
]
