"""Files given on the command line, read whole, and what to say when their lines are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from callwright.values.errors import OutsideError, RequestError


def read_text(file: Path) -> str:
    """Return the text of a file; raise ``OutsideError`` when it cannot be read, ``RequestError`` when it is no text."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OutsideError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{file} is not UTF-8 text: save it as UTF-8") from error


def refuse_problems(file: Path, problems: Sequence[str]) -> None:
    """Raise ``RequestError`` with every problem of a file, if there are any."""
    if problems:
        raise RequestError("\n".join([f"{file} was not imported:", *(f"  {problem}" for problem in problems)]))
