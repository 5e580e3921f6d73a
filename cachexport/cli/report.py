"""`cachexport report`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cachexport.cli.console import answer, check_writable, write_file
from cachexport.cli.options import complete_spec, progress_option, reporting, source_date_epoch
from cachexport.cli.verbs import verbatim

if TYPE_CHECKING:
    from cachexport.insight.report.gather import Report
    from cachexport.oci.timestamp import Timestamp


@click.command(
    "report",
    epilog=verbatim(
        """
        Examples:
          cachexport report type=local,src=cache -o report.html
          cachexport report registry.example/app:main registry.example/app:v1 \\
              -o report.html
          SOURCE_DATE_EPOCH=0 cachexport report type=local,src=cache -o same.html
        """
    ),
)
@click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete_spec)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    help="The HTML file to write.",
)
@click.option("--deep", is_flag=True, help="Read every layer and check its content.")
@progress_option
def command(specs: tuple[str, ...], output: Path, deep: bool, mode: str) -> None:
    """Write a page that shows caches: bytes, graph, ages and faults.

    The page is one file and loads nothing. It tells ages as of now, or of SOURCE_DATE_EPOCH if
    that is set: then the same caches give the same bytes. What is wrong with a cache is told in
    the page, and does not fail the command; for that there is `verify`.
    """
    from cachexport.api.caches import report_caches
    from cachexport.insight.report.page import render_report

    check_writable(output)
    with reporting(mode, specs) as progress:
        report = report_caches(specs, deep=deep, now=_now(), progress=progress)
        page = render_report(report)
    write_file(output, page)
    answer([_told(report, output)])


def _now() -> Timestamp:
    from cachexport.oci.timestamp import Timestamp

    return source_date_epoch() or Timestamp(int(time.time()))


def _told(report: Report, output: Path) -> str:
    from cachexport.cli.views.text import counted

    faults = counted(report.faults, "fault") if report.faults else "no fault"
    absent = f", {report.absent:,} not there" if report.absent else ""
    return f"{output}: {counted(report.present, 'cache')}, {faults}{absent}"
