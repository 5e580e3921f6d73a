"""`cachexport plugins`."""

from __future__ import annotations

import click

from cachexport.cli.console import answer, line_width
from cachexport.cli.options import format_option
from cachexport.cli.verbs import DocumentedCommand, verbatim


@click.command(
    "plugins",
    cls=DocumentedCommand,
    document="backends:PluginsDocument",
    column=12,
    epilog=verbatim(
        """
        Fields of the JSON:
          {fields}

        Examples:
          cachexport plugins
          cachexport plugins s3
          cachexport plugins --format json
        """
    ),
)
@click.argument("kind", metavar="[TYPE]", required=False)
@format_option("table", "json")
def command(kind: str | None, form: str) -> None:
    """List the backends that are installed, and what they lack.

    With a TYPE, such as s3, the attributes of its SPECs are listed.
    """
    from cachexport.cli.views.backends import PluginsDocument, attribute_lines, plugin_lines
    from cachexport.cli.views.document import json_lines
    from cachexport.contract.discovery import list_plugins
    from cachexport.errors import UnknownBackend

    found = [plugin for plugin in list_plugins() if kind in (None, plugin.type)]
    if not found:
        raise UnknownBackend(f"no backend for type={kind} is installed (see `cachexport plugins`)")
    if form == "json":
        answer(json_lines(PluginsDocument.of(found)))
    elif kind is None:
        answer(plugin_lines(found, line_width()))
    else:
        answer(attribute_lines(found[0], line_width()))
