"""Plain tables on the terminal, one line a row, so that other programs can read them too."""

from __future__ import annotations

from collections.abc import Sequence

import typer


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print aligned columns; ``empty`` when there is no row."""
    if not rows:
        typer.echo(empty)
        return
    widths = [max(len(str(row[i])) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = (str(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
