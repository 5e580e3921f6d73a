"""The verbs, and a group that imports the module of a verb only when it is called."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from textwrap import dedent
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.formatting import HelpFormatter


@dataclass(frozen=True, slots=True)
class Verb:
    """A command in the module of its name, or another one, where it is called `command`.

    `summary` is the first line of the command's help, known without importing it.
    """

    name: str
    group: str
    """The heading that it stands under in the help."""
    summary: str

    module: str = ""
    """For a name that no module can have."""
    package: str = "cachexport.cli"

    def load(self) -> click.Command:
        """Import the command."""
        module = import_module(f"{self.package}.{self.module or self.name}")
        return cast("click.Command", module.command)


_TABLE = (
    Verb("export", "Move", "Read caches and write them, merged if several, to every target."),
    Verb("merge", "Move", "Write the union of caches: the newest result of each record."),
    Verb("tag", "Move", "Give a cache further names in the place where it is."),
    Verb("ls", "Look", "List the names in a directory, a bucket or a repository."),
    Verb("inspect", "Look", "Show what is in a cache."),
    Verb("du", "Look", "Show how many bytes caches need, shared and unique."),
    Verb("report", "Look", "Write a page that shows caches: bytes, graph, ages and faults."),
    Verb("diff", "Look", "Show what one cache has and another has not, and why."),
    Verb("explain", "Look", "Show one record: what leads to it, what it gives, what hinders."),
    Verb("verify", "Keep", "Check that all of a cache is there, and is what it should be."),
    Verb(
        "assert",
        "Keep",
        "Check that a cache is as large as it should be: a CI gate.",
        "assert_",
    ),
    Verb("repair", "Keep", "Rewrite names without what is gone or damaged."),
    Verb("compact", "Keep", "Make a cache small enough to import: drop its oldest parts."),
    Verb("touch", "Keep", "Make all that a cache needs as young as if it was just written."),
    Verb("rm", "Keep", "Take a name away, or all that match its pattern."),
    Verb("prune", "Keep", "Remove old names, and the blobs that no name needs."),
    Verb("image", "Images", "Save, load, push, pull, inspect and extend images."),
    Verb("serve", "Serve", "Serve a place for caches to any build tool, as a registry."),
    Verb("run", "Serve", "Run a build tool with caches in any place."),
    Verb("lifecycle", "Set up", "Make rules by which a bucket expires old caches itself."),
    Verb("doctor", "Set up", "Try what a place for caches can do, and say what to change."),
    Verb("plugins", "Set up", "List the backends that are installed, and what they lack."),
    Verb("completion", "Set up", "Print the script that completes commands in a shell."),
)
"""In the order of the help; those of a group stand together."""
VERBS = {verb.name: verb for verb in _TABLE}

_IMAGE_TABLE = (
    ("save", "Move", "Write an image of the store as an archive, or elsewhere."),
    ("load", "Move", "Take the images of an archive into the store."),
    ("pull", "Move", "Take an image of a registry into the store."),
    ("push", "Move", "Copy an image of the store to a registry."),
    ("append", "Move", "Put layers on top of an image, which is not unpacked."),
    ("ls", "Look", "List the images of the store."),
    ("inspect", "Look", "Show what is in an image."),
    ("rm", "Keep", "Take names of images away."),
    ("prune", "Keep", "Remove images without a name, and what nothing needs."),
)
IMAGE_VERBS = {
    name: Verb(name, group, summary, package="cachexport.cli.image")
    for name, group, summary in _IMAGE_TABLE
}
"""The verbs of `image`, as in `cachexport image save`."""
COMMANDS: dict[tuple[str, ...], Verb] = {
    **{(name,): verb for name, verb in VERBS.items()},
    **{("image", name): verb for name, verb in IMAGE_VERBS.items()},
}
"""All commands by the words that call them."""


class DocumentedCommand(click.Command):
    """A command whose help lists the fields of the JSON that it answers.

    They stand where the epilog says `{fields}`. `document` names the data class of that JSON, as
    module:class in the views. It is imported when the help is shown; `column` is where the names
    of its fields begin.
    """

    def __init__(self, *args: Any, document: str, column: int = 11, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._document = document
        self._column = column

    def format_epilog(self, ctx: click.Context, formatter: HelpFormatter) -> None:
        """Write the epilog, with the fields."""
        from cachexport.cli.views.document import field_lines

        module, _, name = self._document.partition(":")
        document = getattr(import_module(f"cachexport.cli.views.{module}"), name)
        lines = "\n  ".join(field_lines(document, self._column))
        template, self.epilog = self.epilog, (self.epilog or "").replace("{fields}", lines)
        super().format_epilog(ctx, formatter)
        self.epilog = template


class VerbGroup(click.Group):
    """A group whose commands are `verbs`."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the verbs in the order of their table."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None when there is none of this name."""
        verb = self._verbs.get(cmd_name)
        return verb.load() if verb else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that was typed, or tell which one may have been meant."""
        name = args[0]
        if name in self._verbs or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = get_close_matches(name, self._verbs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self._verbs)}"
        raise click.UsageError(f"no command {name!r} ({hint})", ctx)

    def format_commands(self, ctx: click.Context, formatter: HelpFormatter) -> None:
        """Write a table of verbs for each group, none of them imported for it."""
        width = max(map(len, self._verbs))
        for group, verbs in groupby(self._verbs.values(), key=lambda verb: verb.group):
            with formatter.section(group):
                formatter.write_dl([(verb.name.ljust(width), verb.summary) for verb in verbs])


def verbatim(text: str) -> str:
    """Give text for the end of a command's help, whose lines are not to be wrapped."""
    # A backspace at the head of a paragraph is click's way to say so.
    return "\n\n".join(f"\b\n{paragraph}" for paragraph in dedent(text).strip().split("\n\n"))
