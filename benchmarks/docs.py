"""Rows -> what the documentation shows of them: a page of tables, and the plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.plots import write_plots
from benchmarks.report import in_one_line, report
from benchmarks.results import Row

PAGE = "results.txt"
"""In Markdown; included by a page, and none itself."""


def write_docs(folder: Path, about: Mapping[str, str], rows: Sequence[Row]) -> list[Path]:
    """Write the page and the plots that it shows; return the files."""
    plots = write_plots(folder, rows)
    page = folder / PAGE
    images = (f"![{path.stem.replace('-', ' ')}]({path.name})" for path in plots)
    page.write_text("\n\n".join([in_one_line(about) + ".", report(rows), *images, ""]), encoding="utf-8")
    return [page, *plots]
