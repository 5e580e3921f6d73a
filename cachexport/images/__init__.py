"""Images: their configs, their manifests, and archives of them.

Public are the names below, and those of the packages `cachexport.images.store` and
`cachexport.images.builder`. Each is imported when it is first used; they are listed once, in
`__init__.pyi` beside this file.

- `empty_config`, `complete_config`: the config of an image, as BuildKit writes it; by hand with
  `parse_history`, `normalise_history` and `patch_config`.
- `Settings`, `change_settings`: how an image runs, its entrypoint, variables, labels.
- `encode_image_manifest`, `normalise_layers`: the manifest of an image.
- `open_docker_archive`: the images in an archive.
- `write_docker_archive`, `save_docker_archive`: an image as an archive, into a stream or a file.
- `write_oci_archive`, `save_oci_archive`: an image, or an index of images, as an OCI archive.
- `select_image`, `read_config`: the image for a platform, and its config.
"""

from cachexport.public import attach

__getattr__, __dir__ = attach(__name__, __file__)
