"""The examples of docs/reference/speech.md are what really happens."""

from __future__ import annotations

from pathlib import Path

from callwright.speech.normalise import normalise
from callwright.speech.script import MAX_CHARACTERS, MAX_WITH_TAGS
from callwright.speech.ssml import MAX_PAUSE_S
from callwright.speech.synthesiser import MAX_SOUND_S

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "speech.md").read_text()


def test_every_documented_reading_is_ours() -> None:
    table = PAGE.partition("| written | said |\n|---|---|\n")[2].partition("\n\n")[0]
    pairs = [[cell.strip().split(" · ") for cell in row.strip("|").split("|")] for row in table.splitlines()]
    readings = [(written, said) for row in pairs for written, said in zip(*row, strict=True)]
    assert len(readings) > 15
    assert [(written, normalise(written)) for written, _ in readings] == readings


def test_the_documented_limits_are_the_real_ones() -> None:
    assert f"{MAX_CHARACTERS} characters of spoken text, tags not counted; {MAX_WITH_TAGS} characters with tags" in PAGE
    assert f"{MAX_SOUND_S / 60:.0f} minutes of sound" in PAGE
    assert f"{MAX_PAUSE_S:.0f} s for one `break`" in PAGE
