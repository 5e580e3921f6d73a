"""Progress that is not for a terminal."""

from __future__ import annotations

import io
import json
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import pytest
from cli.commands import InProcess, local
from cli.scripted import LAYER, SECOND, START, Clock, one_layer
from support.caches import FOLDER

from cachexport.cli.progress import clock, open_renderer
from cachexport.cli.progress.renderer import Renderer
from cachexport.cli.progress.stream import PlainRenderer, RawJsonRenderer
from cachexport.content.progress import Event
from cachexport.contract.units import (
    readable,
)


def plain() -> tuple[PlainRenderer, Clock, io.StringIO]:
    stream, clock = io.StringIO(), Clock()
    return PlainRenderer(stream, clock), clock, stream


def test_plain() -> None:
    renderer, clock, stream = plain()
    with renderer as hear:
        one_layer(hear, clock)
        hear(Event("writing config sha256:cc", "started"))
        hear(Event("writing config sha256:cc", "done"))
    assert stream.getvalue().splitlines() == [
        "#1 exporting cache",
        f"#1 {LAYER}",
        f"#1 {LAYER} 5.00 MB / 12.00 MB 5.0s",
        f"#1 {LAYER} 10.00 MB / 12.00 MB 10.0s",
        f"#1 {LAYER} 12.0s done",
        "#1 writing config sha256:cc",
        "#1 writing config sha256:cc done",
        "#1 DONE 12.0s",
    ]


def test_plain_numbers_sources_and_targets() -> None:
    renderer, clock, stream = plain()
    with renderer as hear:
        for name, steps in (
            ("importing cache manifest from type=local,src=a", []),
            ("exporting cache to type=local,dest=b", [LAYER]),
            ("exporting cache to type=local,dest=c", [LAYER]),
        ):
            hear(Event(name, "started"))
            for step in steps:
                hear(Event(step, "started", 0, 5))
                hear(Event(step, "done", 0, 5))
            clock.after(0.25)
            hear(Event(name, "done", error="no room" if name.endswith("c") else ""))
    assert stream.getvalue().split("\n\n") == [
        "#1 importing cache manifest from type=local,src=a\n#1 DONE 0.2s",
        f"#2 exporting cache to type=local,dest=b\n#2 {LAYER}\n#2 {LAYER} done\n#2 DONE 0.2s",
        f"#3 exporting cache to type=local,dest=c\n#3 {LAYER}\n#3 {LAYER} done\n"
        "#3 ERROR: no room\n",
    ]


def test_plain_tells_of_a_failed_step() -> None:
    renderer, clock, stream = plain()
    with renderer as hear:
        hear(Event(LAYER, "started", 0, 5))
        clock.after(1)
        hear(Event(LAYER, "done", 3, 5, error="no\x1broom"))
    assert stream.getvalue().splitlines()[2:] == [
        f"#1 {LAYER} 1.0s ERROR: no\\x1broom",
        "#1 ERROR: no\\x1broom",
    ]


def test_plain_ends_with_the_error_that_ends_everything() -> None:
    renderer, _, stream = plain()
    with pytest.raises(ValueError, match="stop"), renderer as hear:
        hear(Event(LAYER, "started"))
        raise ValueError("stop")
    assert stream.getvalue().splitlines()[-1] == "#1 ERROR: stop"


def test_lines_from_many_threads_stay_whole() -> None:
    renderer, clock, stream = plain()
    names = [f"writing layer sha256:{number:064x}" for number in range(200)]
    with renderer as hear, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: one_layer(hear, clock, name=name, seconds=0), names))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "#1 exporting cache"
    assert sorted(lines[1:-1]) == sorted(
        line for name in names for line in (f"#1 {name}", f"#1 {name} done")
    )


def test_a_stream_that_breaks_fails_nothing() -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with PlainRenderer(Broken(), Clock()) as hear:
        one_layer(hear, Clock())


def test_rawjson_is_solve_status() -> None:
    stream, clock = io.StringIO(), Clock()
    with RawJsonRenderer(stream, clock) as hear:
        one_layer(hear, clock, seconds=0.6)
        hear.log("warning", "mind the gap")
        hear.log("note", "well")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    first, last = lines[0]["vertexes"][0], lines[-1]["vertexes"][0]
    assert first["name"] == "exporting cache"
    assert first["digest"] == last["digest"]
    assert first["digest"].startswith("sha256:")
    assert first["started"] == last["started"] == "2026-09-21T14:13:20Z"
    assert "completed" not in first
    assert last["completed"] == "2026-09-21T14:13:20.6Z"
    steps = [line["statuses"][0] for line in lines if "statuses" in line]
    assert {step["id"] for step in steps} == {LAYER}
    assert {step["vertex"] for step in steps} == {first["digest"]}
    assert [step["current"] for step in steps] == [
        0,
        *range(2_000_000, 12_000_001, 2_000_000),
        12_000_000,
    ]
    assert steps[1]["timestamp"] == "2026-09-21T14:13:20.1Z"
    assert [step.get("completed") for step in steps[-2:]] == [None, last["completed"]]
    assert b64decode(lines[-3]["warnings"][0]["short"]) == b"mind the gap"
    assert b64decode(lines[-2]["logs"][0]["data"]) == b"well"


def test_rawjson_names_the_error_of_a_vertex() -> None:
    stream = io.StringIO()
    with RawJsonRenderer(stream, Clock()) as hear:
        hear(Event(LAYER, "started"))
        hear(Event(LAYER, "done", error="no room"))
    assert json.loads(stream.getvalue().splitlines()[-1])["vertexes"][0]["error"] == "no room"


def test_rawjson_of_a_real_export(run: InProcess, tmp_path: object) -> None:
    source = local(FOLDER / "max", dest="noted")
    args = ["export", "--cache-from", source, "--cache-to", local(f"{tmp_path}/o", "dest")]
    lines = [json.loads(line) for line in run(*args, "--progress", "rawjson").err.splitlines()]
    done = [
        status["id"]
        for line in lines
        for status in line.get("statuses", ())
        if status.get("completed")
    ]
    assert len(done) == 12
    assert done[-2].startswith("writing config sha256:")
    assert done[-1].startswith("writing cache image manifest sha256:")


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with open_renderer("quiet", Clock()) as hear:
        one_layer(hear, Clock())
    assert capsys.readouterr() == ("", "")


def test_auto_is_plain_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with open_renderer("auto", Clock()) as hear:
        one_layer(hear, Clock(), seconds=0)
    assert capsys.readouterr().err.splitlines()[-1] == "#1 DONE 0.0s"
    assert type(open_renderer("quiet", Clock())) is Renderer


def test_tty_needs_a_terminal(run: InProcess) -> None:
    ran = run("export", "--cache-from", "a", "--cache-to", "b", "--progress", "tty")
    assert ran.code == 2
    assert "terminal" in ran.errors[0]


def test_clock_never_goes_back_and_knows_the_day() -> None:
    now = clock()
    times = [now() for _ in range(100)]
    assert times == sorted(times)
    assert times[0] > START - 365 * 86_400 * SECOND


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_994, "999.99 kB"),
        (999_999, "1.00 MB"),
        (4_194_304, "4.19 MB"),
        (10**19, "10000.00 PB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert readable(size) == text
