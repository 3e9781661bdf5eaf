"""What the log of an instance says went wrong, so that ``explain`` can name the page that failed, and how."""

from __future__ import annotations

import re
from pathlib import Path

from callwright.apps.rest.log import Level

READ_BYTES = 256 * 1024  # from the end: what ended the instance stands there
MOST_LINES = 5
LONGEST_LINE = 400

_BAD = re.compile(rf"[\d-]{{10}} [\d:.]{{12}} (?:{Level.WARNING}|{Level.ERROR}) (?:problem: )?(?P<text>.*)")


def troubles(log: Path) -> list[str]:
    """Return the last warnings and errors of a log, without their times; none for a log that cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - READ_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    found = [match["text"] for line in lines if (match := _BAD.fullmatch(line))]
    return [text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…" for text in found[-MOST_LINES:]]
