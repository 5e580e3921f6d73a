"""What users see of the command is what it was: stdout, stderr, exit codes, and files written.

`groups.py` has the commands, `expected/` a golden file for each group of them. After a change that
is meant, write them anew and read the difference before it is committed:

    UPDATE_GOLDEN=1 pytest tests/golden && git diff tests/golden

Every group runs in a folder of its own, on copies of real caches whose files are 30 hours old.
In the golden files stands for what truly varies, and for nothing else:

- `$PWD` for that folder, `PORT` for the port of a server that the test started,
- `VERSION` for cachexport's version, which a release changes,
- `TIME` where something was written just now, or how long a step took,
- `SPACE` and `FS` for the disk that `doctor` looked at,
- `(installed: …)` for backends: others may be installed beside ours; `plugins` lists ours alone,
- `SERVER` for the program that a test's server says it is.

A blob that is named after its SHA-256 is listed as `as named`. Layers that are compressed anew
depend on zlib and zstd, whose versions are in the first line of the golden files of such groups;
with other versions these are not compared. Neither is `doctor` on a disk that it has more to say
of, such as a full one or one in memory. Left out is what click says of an unknown option, for which
its versions have other words, and how far a layer is while it moves, which only slow machines tell.
"""

from __future__ import annotations

import difflib
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard
from golden.groups import GROUPS
from golden.services import HELD, REFUSING, SERVED
from support.services.http_server import Server, serving
from support.services.messages import Reply
from support.services.moto_server import SHARED, running_moto
from support.services.scripted import ScriptedRegistry

if TYPE_CHECKING:
    from golden.transcript import Group, Transcript
    from support.services.http_server import Handler

EXPECTED = Path(__file__).parent / "expected"
UPDATE = "UPDATE_GOLDEN"
_VERSIONS = f"zlib {zlib.ZLIB_RUNTIME_VERSION}, zstd {'.'.join(map(str, zstandard.ZSTD_VERSION))}"
_DISK_SAYS_MORE = re.compile(r"^(note|warning|failed) +space  ", re.MULTILINE)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_the_command_says_and_writes_what_it_did(group: Group, transcript: Transcript) -> None:
    check(group, transcript)


@pytest.mark.services
def test_the_command_does_with_a_bucket_what_it_did(transcript: Transcript, tmp_path: Path) -> None:
    with running_moto(tmp_path) as server:
        # It takes any login, and `doctor` tells the one that it was given.
        transcript.patch.setenv("AWS_ACCESS_KEY_ID", "AKGOLDENGOLDEN")
        transcript.patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        transcript.server = server.endpoint.removeprefix("http://")
        transcript.patch.setenv("AWS_BUCKET", SHARED)
        check(SERVED, transcript)


def test_the_command_does_with_a_registry_what_it_did(transcript: Transcript) -> None:
    with ScriptedRegistry() as registry:
        transcript.server = registry.host
        check(HELD, transcript)


def test_the_command_says_of_a_server_that_refuses_what_it_did(transcript: Transcript) -> None:
    def respond(handler: Handler) -> None:
        status = int(re.findall(r"^/status(\d+)", handler.path)[0])
        handler.send(Reply(status))

    server = Server(respond)
    with serving(server):
        transcript.patch.setenv("AWS_ACCESS_KEY_ID", "a")
        transcript.patch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        transcript.server = server.host
        check(REFUSING, transcript)


def test_every_golden_file_has_a_group() -> None:
    names = [group.name for group in (*GROUPS, HELD, REFUSING, SERVED)]
    assert sorted(path.stem for path in EXPECTED.iterdir()) == sorted(names)
    assert len(set(names)) == len(names)


def check(group: Group, transcript: Transcript) -> None:
    """Do all that a group is and compare, or write, its golden file."""
    file = EXPECTED / f"{group.name}.txt"
    heading = f"# with {_VERSIONS}\n\n" if group.compresses else ""
    updating = bool(os.environ.get(UPDATE))
    expected = file.read_text() if file.exists() else ""
    if not updating and expected.startswith("# with ") and not expected.startswith(heading):
        pytest.skip(f"compressed {expected.partition(chr(10))[0][2:]}, this is {_VERSIONS}")
    for step in group.steps:
        transcript.step(step)
    found = heading + transcript.text
    if _DISK_SAYS_MORE.search(found):
        pytest.skip(
            "`doctor` has more to say of the disk that this is on, such as of one in memory"
        )
    if updating:
        file.parent.mkdir(exist_ok=True)
        file.write_text(found)
    elif found != expected:
        lines = (text.splitlines(keepends=True) for text in (expected, found))
        difference = "".join(difflib.unified_diff(*lines, f"expected/{file.name}", "found", n=8))
        pytest.fail(f"{UPDATE}=1 writes it anew if that is meant\n{difference}", pytrace=False)
