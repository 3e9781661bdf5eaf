from __future__ import annotations

from pathlib import Path

from callwright.web.error_catalogue import CATALOGUE

REFERENCE = Path(__file__).parents[3] / "docs/reference/web-services.md"


def test_every_error_number_is_documented() -> None:
    rows = [line for line in REFERENCE.read_text().splitlines() if line.startswith("| `")]
    for entry in CATALOGUE.values():
        shown = "none" if entry.status is None else str(entry.status)
        assert any(row.startswith(f"| `{entry.code}` | {shown} | {entry.text}") for row in rows), entry.code


def test_every_entry_of_the_catalogue_helps() -> None:
    for number, entry in CATALOGUE.items():
        assert entry.number == number
        assert entry.status is None or 400 <= entry.status <= 599
        assert entry.status is None or len(number) == 4 or entry.status == int(number)
        assert str(entry.status) in CATALOGUE or entry.status is None
        for text in (entry.text, entry.cause, entry.cure):
            assert text[0].isupper()
        assert entry.cause.endswith(".")
        assert entry.cure.endswith(".")
