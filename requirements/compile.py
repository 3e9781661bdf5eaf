"""Write requirements/run.txt and dev.txt from pyproject.toml: versions pinned, files hashed, no index address.

``--check`` writes nothing and fails when the files on disk differ from what would be written.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = {"run.txt": [], "dev.txt": ["--group", "dev"]}


def compile_to(target: Path, extra: list[str]) -> None:
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"),
        *("--no-emit-index-url", "--no-header", "--python-version", "3.11", "--custom-compile-command", "make lock"),
        *("pyproject.toml", "requirements/build.in", *extra, "--output-file", str(target)),
    ]
    subprocess.run(command, cwd=HERE.parent, check=True)


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []
    for name, extra in TARGETS.items():
        locked = HERE / name
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / name
            if locked.exists():  # present pins are kept as long as pyproject.toml allows them
                fresh.write_text(locked.read_text())
            compile_to(fresh, extra)
            text = fresh.read_text()
        if check and text != locked.read_text():
            stale.append(name)
        elif not check:
            locked.write_text(text)
    if stale:
        sys.stderr.write(f"{', '.join(stale)}: not what pyproject.toml asks for; run make lock and commit the result\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
