"""The command line: one module a verb; arguments in, one library call, text out.

Nothing heavy is imported before a verb needs it: `--help` and `--version` have to be quick.
"""

from cachexport.cli.app import main

__all__ = ["main"]
