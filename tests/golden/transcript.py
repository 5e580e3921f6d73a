"""Running the commands of a group, and writing down what users see of them."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import cachexport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from cli.commands import InProcess

AGE = 30 * 3600 + 600
"""Seconds since the inputs were written: shown as "30 h" for the ten minutes after the start."""
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_SETTINGS = re.compile(r"^(?:[A-Z_]+=(?:\"[^\"]*\"|\S*) ?)+")
_SECONDS = re.compile(r'("(?:time|created|updated)": )(\d{9,}(?:\.\d+)?)')
_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


@dataclass(frozen=True)
class Group:
    """Commands that share a folder and a golden file; a step is a command or a preparation."""

    name: str
    steps: tuple[Step, ...]
    compresses: bool = False
    """Whether bytes depend on the versions of zlib and zstd."""


@dataclass(frozen=True)
class Setup:
    """A preparation, which is told in the golden file as a comment."""

    text: str
    prepare: Callable[[Path], None]


Step = str | Setup


@dataclass
class Transcript:
    """What happened in a folder so far."""

    run: InProcess
    folder: Path
    patch: pytest.MonkeyPatch
    server: str = ""
    """The host and port that stand for `$SERVER` in commands."""
    lines: list[str] = field(default_factory=list)

    def step(self, step: Step) -> None:
        """Do a step: a preparation, a word of ours that shows files, or a command."""
        if isinstance(step, Setup):
            step.prepare(self.folder)
            self.lines += [f"# {step.text}", ""]
            return
        command, _, rest = step.partition(" ")
        if command == "listing":
            self._add(step, listing(self.folder / rest))
        elif command == "show":
            self._add(step, (self.folder / rest).read_text())
        elif command == "words":
            self._add(step, words((self.folder / rest).read_text()))
        else:
            self._run(step)

    @property
    def text(self) -> str:
        """Give all of it, without what differs between two runs."""
        return normalised("\n".join(self.lines), self.folder)

    def _run(self, command: str) -> None:
        args = shlex.split(command.replace("$SERVER", self.server))
        with self.patch.context() as patch:
            while args and _ASSIGNMENT.match(args[0]):
                name, _, value = args.pop(0).partition("=")
                patch.setenv(name, value)
            ran = self.run(*args)
        settings = "".join(_SETTINGS.findall(command)[:1])
        shown = f"{settings}cachexport {command.removeprefix(settings)}".rstrip()
        out, err = only_ours(ran.out) if args[:1] == ["plugins"] else ran.out, ran.err
        self._add(shown, out, err, f"exit {ran.code}")

    def _add(self, command: str, out: str, err: str = "", end: str = "") -> None:
        self.lines += [f"$ {command}", *_whole(out)]
        if err:
            self.lines += ["--- stderr", *_whole(err)]
        self.lines += [end, ""] if end else [""]


def _whole(text: str) -> list[str]:
    """Give the lines of a text, and tell when the last one has no end."""
    if not text:
        return []
    *lines, last = text.split("\n")
    return [*lines, f"{last}(no newline)"] if last else lines


def only_ours(text: str) -> str:
    """Give what `plugins` says without the backends of other packages, which may be installed."""
    if text.startswith("{"):
        document = json.loads(text)
        document["plugins"] = [p for p in document["plugins"] if p["package"] == "cachexport"]
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if not text.startswith("TYPE "):
        return text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    return "".join(f"{row}\n" for row in rows if row.split()[1] in ("PACKAGE", "cachexport"))


def normalised(text: str, folder: Path) -> str:
    """Give text without what differs between two runs or two machines."""
    for found, instead in (
        (re.escape(str(folder)), "$PWD"),
        (rf"\b{re.escape(cachexport.__version__)}\b", "VERSION"),
        (r"(?<=127\.0\.0\.1:)\d{4,5}", "PORT"),
        (r"\(installed: [^)]*\)", "(installed: …)"),
        (rf'("(?:started|completed|timestamp)"):"{_ISO}"', r'\1:"TIME"'),
        (r'(?m)^\{"statuses":.*"current":[1-9].*"started":"TIME"\}\]\}\n', ""),
        (r"(?m)^#\d+ .* / .*B \d+\.\ds\n", ""),
        (r"(?m)^(#\d+ .*?)(?: \d+\.\ds)? done$", r"\1 done"),
        (r"(?m)^(#\d+ DONE) \d+\.\ds$", r"\1 TIME"),
        (r"\d[\d.]* [kMGT]?B free on [\w.-]+", "SPACE free on FS"),
        (r"\d[\d.]* m?s (?=there and back)", "TIME "),
        (r"(?:BaseHTTP|Werkzeug)/\S+ Python/\d[\d.]*", "SERVER"),
        (r"\d[\d.]* m?s for a file", "TIME for a file"),
        (r'("milliseconds"): [\d.]+', r"\1: TIME"),
        (r'("(?:free_bytes|free_files)"): \d+', r"\1: SPACE"),
        (r'("file_system"): "[^"]*"', r'\1: "FS"'),
    ):
        text = re.sub(found, instead, text)
    return _SECONDS.sub(_without_recent, text)


def _without_recent(found: re.Match[str]) -> str:
    """Replace a time of this run or of its inputs; those in the caches are always the same."""
    recent = float(found[2]) > past(5 * 24 * 3600)
    return f"{found[1]}TIME" if recent else found[0]


def listing(folder: Path) -> str:
    """Give every file below a folder with its size and SHA-256, and what else is there."""
    rows = [_row(path, folder) for path in sorted(folder.rglob("*")) if _counts(path)]
    return "".join(f"{row}\n" for row in rows)


def _counts(path: Path) -> bool:
    # The index of a store is a database with times in it; its writers' files come and go.
    return not path.name.startswith("index.db") and not (path.is_dir() and any(path.iterdir()))


def _row(path: Path, folder: Path) -> str:
    name = str(path.relative_to(folder))
    if path.is_symlink():
        return f"link {name} -> {path.readlink()}"
    if path.is_dir():
        return f"empty directory {name}"
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    # A blob's name is its digest; a second one would only make the file longer.
    return f"{len(raw):6} {'as named' if path.name.endswith(digest) else digest} {name}"


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._skipping = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._skipping = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skipping = False

    def handle_data(self, data: str) -> None:
        if not self._skipping and data.strip():
            self.words.append(" ".join(data.split()))


def words(page: str) -> str:
    """Give the SHA-256 of a page, and its text with one piece a line."""
    parser = _Words()
    parser.feed(page)
    parser.close()
    digest = hashlib.sha256(page.encode()).hexdigest()
    return "".join(f"{line}\n" for line in (f"sha256 {digest}", *parser.words))


def past(seconds: float = AGE) -> float:
    """Give the time so many seconds ago."""
    return time.time() - seconds
