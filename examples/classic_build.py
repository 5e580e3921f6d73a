"""Build as Docker's classic builder does: python examples/classic_build.py STORE OUT [BASE]."""

import sys
from pathlib import Path

import cachexport
from cachexport.images import empty_config, save_docker_archive
from cachexport.images.builder import Policy

STEPS = {"etc/greeting": "hello\n", "etc/name": "world\n"}

if len(sys.argv) not in (3, 4):
    sys.exit(__doc__)
place, out, *base = sys.argv[1:]

with cachexport.Store.open(Path(place)) as store:
    builder = cachexport.ClassicBuilder(
        store,
        cachexport.Snapshots.open(store),
        cachexport.image_puller(store),
        platform=cachexport.parse_platform("linux/amd64"),
        # The same steps make the same image, whoever builds, and whenever.
        policy=Policy(mtime=0, owner=(0, 0)),
    )
    # FROM: an empty reference is scratch, which is no image.
    image, layer = builder.get_image_and_releasable_layer(base[0] if base else "")
    for name, text in STEPS.items():
        with layer, layer.new_rw_layer() as work:
            file = work.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            layer = work.commit()
        config = image.config if image else empty_config("amd64")
        image = builder.create_image(config, image, layer)
        print(f"{name}: layers {len(image.layers)}")
    layer.release()
    save_docker_archive(out, store.content, image.descriptor, names=["example/greeting:1"])
    print(image.name, file=sys.stderr)
