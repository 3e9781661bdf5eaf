"""``python -m bench``: list the measurements; ``python -m bench NAME …``: run some; ``python -m bench all``: run all.

Each prints our figure, the machine's ceiling measured in the same run, and the ratio. Options behind the name are for
the measurement, e.g. ``python -m bench calls --rate 300 --seconds 60``; ``--help`` lists those it has.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from inspect import signature
from itertools import dropwhile
from pathlib import Path

FOLDER = Path(__file__).parent
# What measurements are made of.
PARTS = frozenset(
    {"__main__", "bare_invite", "ceilings", "load", "node", "pageless", "pages", "processes", "scene", "sipp"}
)


def measurements() -> dict[str, str]:
    """Return the name of each measurement with the first line of what it says of itself."""
    names = sorted(each.name for each in pkgutil.iter_modules([str(FOLDER)]) if each.name not in PARTS)
    return {name: (importlib.import_module(f"bench.{name}").__doc__ or "").splitlines()[0] for name in names}


def main(wanted: list[str]) -> int:
    found = measurements()
    if not wanted:
        for name, about in found.items():
            print(f"{name:<20} {about}")
        return 0
    options = list(dropwhile(lambda word: not word.startswith("-"), wanted))
    wanted = wanted[: len(wanted) - len(options)]
    names = list(found) if wanted == ["all"] else wanted
    if unknown := [name for name in names if name not in found]:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(found)}", file=sys.stderr)
        return 2
    for name in names:
        print(name)
        measurement = importlib.import_module(f"bench.{name}")
        if not options:
            measurement.run()
        elif signature(measurement.run).parameters:
            measurement.run(options)
        elif options in (["--help"], ["-h"]):
            print(measurement.__doc__)
        else:
            print(f"{name} takes no options: {' '.join(options)}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
