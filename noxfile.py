"""The chores of the project, one session each; CONTRIBUTING.md says when to run which.

They run in the environment that nox itself is installed in, so that there is one environment for
all, made once: `python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]'`. What follows `--`
goes to the session's program.
"""

from __future__ import annotations

import shlex
import sysconfig
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["check", "unit", "docs"]

PLUGINS = sorted(Path("plugins").glob("cachexport-*"))
PROGRAMS = Path(sysconfig.get_path("scripts"))


def run(session: nox.Session, command: str, *more: str) -> None:
    """Run a program of this environment, whatever the PATH says."""
    program, *args = shlex.split(command)
    session.run(str(PROGRAMS / program), *args, *more, external=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests of the core, those of real services too: 8 minutes."""
    run(session, "pytest -q -n auto", *session.posargs)


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that start no service: a minute or two."""
    run(
        session,
        "pytest -q -n auto -m 'not services'",
        *(session.posargs or ("tests/public", "tests/property", "tests/unit", "tests/wire")),
    )


@nox.session
def plugins(session: nox.Session) -> None:
    """Test each plugin as a stranger's, then all in one chain; `-- NAME…` chooses plugins."""
    known = {plugin.name: plugin for plugin in PLUGINS}
    if unknown := set(session.posargs) - set(known):
        session.error(f"no plugin: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    for plugin in [known[name] for name in session.posargs or known]:
        # The core is named too: it must not be replaced by one from an index.
        run(session, f"pip install -q -e '.[lint,test]' -e '{plugin}[test]'")
        with session.chdir(plugin):
            run(session, "pytest -q -n auto")
            run(session, "lint-imports")
    if not session.posargs:
        run(session, "pytest -q plugins/tests")


@nox.session
def check(session: nox.Session) -> None:
    """Check style, format, types, and who imports whom."""
    run(session, "ruff check .")
    run(session, "ruff format --check .")
    run(session, "mypy")
    run(session, "lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Hold the README, the pages and the recipes to what the program does."""
    run(
        session,
        "pytest -q -n auto tests/cli/test_help.py tests/cli/test_readme.py"
        " tests/cli/test_recipes.py tests/services/test_architecture.py"
        " tests/unit/contract/test_public.py",
        *session.posargs,
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Report what the tests that start no service reach; `-- --cov-report=html` makes a page."""
    run(
        session,
        "pytest -q -n auto -m 'not services' --cov --cov-report=term:skip-covered",
        *session.posargs,
    )


@nox.session
def mutation(session: nox.Session) -> None:
    """Change the code of the model and see whether its tests notice: hours; `-- PATTERN` is less.

    `[tool.mutmut]` in pyproject.toml says which modules and which tests. A second run goes on where
    the first ended; `mutmut results` lists the survivors, `mutmut show NAME` shows one. The folder
    `mutants` keeps all of that: remove it when files have moved, for it keeps the old ones too.
    """
    run(session, "mutmut run", *session.posargs)
    if not session.posargs:  # Otherwise all that was not chosen would be listed, too.
        run(session, "mutmut results")
