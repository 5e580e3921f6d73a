"""Build an image and its cache, without a daemon: python examples/build_an_image.py CACHE OUT."""

import sys
from pathlib import Path

import cachexport

if len(sys.argv) != 3:
    sys.exit(__doc__)
cache, out = sys.argv[1:]


def install(root: Path) -> None:
    """Do what takes long; with a cache it is done once."""
    lib = root / "usr" / "lib" / "app"
    lib.mkdir(parents=True)
    (lib / "numbers.txt").write_text("\n".join(str(number**2) for number in range(100)))


with cachexport.build(
    "scratch",
    cache_from=[f"type=local,src={cache}"],
    cache_to=[f"type=local,dest={cache}"],
    platform="linux/amd64",
) as build:
    build.layer(key="install v1", make=install)
    build.copy(Path(__file__).parent, "/srv", exclude=["cache", "**/__pycache__"])
    build.config(entrypoint=["/bin/python3"], cmd=["/srv/make_an_image.py"], user="1000")
    build.export(f"type=docker,dest={out},name=example/app:1")

for step in build.steps:
    print("CACHED" if step.is_cached else "done  ", step.name)
