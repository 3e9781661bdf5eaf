"""The C helper is optional, and says why when it is not used."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from callwright.media import helper, offer_answer


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(helper.SWITCH, "1")
    with pytest.raises(helper.Unavailable, match=helper.SWITCH):
        helper.load()
    assert helper.state() == f"the C helper is not used: it is switched off by {helper.SWITCH}"


def test_without_a_shared_object_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(helper.SWITCH, raising=False)
    monkeypatch.setattr(helper, "__file__", str(tmp_path / "helper.py"))
    with pytest.raises(helper.Unavailable, match="apt install gcc"):
        helper.load()


def test_what_is_no_shared_object_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(helper.SWITCH, raising=False)
    monkeypatch.setattr(helper, "__file__", str(tmp_path / "helper.py"))
    (tmp_path / f"_helper{EXTENSION_SUFFIXES[0]}").write_bytes(b"not this")
    with pytest.raises(helper.Unavailable, match="run the setup again"):
        helper.load()


@pytest.mark.skipif(helper.HELPER is None, reason="the C helper is not there")
def test_one_of_another_release_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "VERSION", helper.VERSION + 1)
    with pytest.raises(helper.Unavailable, match="another release"):
        helper.load()


def test_g722_is_spoken_exactly_where_the_helper_is() -> None:
    names = [codec.name for codec in offer_answer.SPOKEN]
    assert names == ["PCMA", "PCMU", *(["G722"] if helper.HELPER is not None else []), "L16"]
    assert [codec.name for codec in offer_answer.CODECS] == ["PCMA", "PCMU"]
