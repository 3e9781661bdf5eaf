"""Programs that end before they read a word, on the event loop a node uses: its pipes close sooner than asyncio's."""

from __future__ import annotations

from pathlib import Path

import uvloop

from callwright.speech.programs import find_flite


def test_looking_for_a_program_that_ends_at_once_finds_it_every_time(tmp_path: Path) -> None:
    program = tmp_path / "flite"
    program.write_text("#!/bin/sh\necho flite-2.2\n", encoding="utf-8")
    program.chmod(0o755)

    async def look() -> list[str]:
        found = [await find_flite(str(tmp_path)) for _ in range(30)]
        return [one.version if one is not None else "" for one in found]

    assert uvloop.run(look()) == ["2.2"] * 30
