"""One index used by many at once: processes, threads and BuildKit's client."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from unit.backends.local.rig import described, expect, process, tell

from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names

if TYPE_CHECKING:
    from pathlib import Path


DESC = described(b"manifest", "application/vnd.oci.image.manifest.v1+json")

PUBLISH = """
import sys
from pathlib import Path
from cachexport.backends.local.layout import Layout
from cachexport.backends.local.names import Names
from cachexport.content.files.staged import StagedFile
from unit.backends.local.rig import described
names = Names(Layout(Path(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    names.publish(f"{sys.argv[2]}-{number}", described(b"%d" % number))
print("done", flush=True)
"""

# BuildKit's client, which only reads here: it tries the lock once and removes it after unlocking.
READ_ALL_THE_TIME = """
import fcntl, os, sys
path = sys.argv[1]
had = 0
print("ready", flush=True)
while os.path.exists(sys.argv[2]):
    fd = os.open(path, os.O_CREAT | os.O_RDONLY, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        continue
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)
    had += 1
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
print("had some" if had else "had none", flush=True)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    directory = tmp_path / "cache"
    directory.mkdir()
    return Layout(directory)


def test_no_entry_is_lost_between_processes_and_with_buildkit(layout: Layout) -> None:
    writers, each = 4, 8
    going = layout.directory.parent / "going"
    going.touch()
    with ExitStack() as stack:
        other = stack.enter_context(process(READ_ALL_THE_TIME, layout.index_lock, going))
        ours = [
            stack.enter_context(process(PUBLISH, layout.directory, f"w{number}", each))
            for number in range(writers)
        ]
        for child in (other, *ours):
            expect(child, "ready")
        for child in ours:
            tell(child)
        for child in ours:
            expect(child, "done")
        going.unlink()
        expect(other, "had some")
    wanted = {f"w{writer}-{number}" for writer in range(writers) for number in range(each)}
    assert set(Names(layout).list()) == wanted


def test_no_entry_is_lost_between_threads_and_readers_see_whole_files(layout: Layout) -> None:
    Names(layout).publish("first", DESC)
    errors: list[BaseException] = []
    done = threading.Event()

    def publish(writer: int) -> None:
        for number in range(5):
            Names(layout).publish(f"{writer}-{number}", DESC)

    def read() -> None:
        try:
            while not done.is_set():
                assert "first" in Names(layout, torn_timeout=0).list()
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    reader = threading.Thread(target=read)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not errors
    assert len(Names(layout).list()) == 21
    assert not layout.index_lock.exists()
