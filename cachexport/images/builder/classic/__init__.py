"""What Docker's classic builder asks of whoever keeps its images and layers.

::

    builder = ClassicBuilder(store, snapshots, puller, platform=parse_platform("amd64"))
    base, below = builder.get_image_and_releasable_layer("debian:13")
    with below, below.new_rw_layer() as work:
        (work.root / "hello").write_text("world")
        with work.commit() as layer:
            image = builder.create_image(base.config, base, layer)
"""

from cachexport.images.builder.classic.builder import PARENT, ClassicBuilder, ClassicImage
from cachexport.images.builder.classic.layers import EMPTY, LABEL, ReleasableLayer, WritableLayer
from cachexport.images.names import DANGLING

__all__ = [
    "DANGLING",
    "EMPTY",
    "LABEL",
    "PARENT",
    "ClassicBuilder",
    "ClassicImage",
    "ReleasableLayer",
    "WritableLayer",
]
