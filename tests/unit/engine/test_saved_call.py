"""What is kept of a call while it lives reads back as it was, whatever the far end put into it."""

from __future__ import annotations

import msgspec
import pytest

from callwright.engine.saved_call import SavedCall, decode_call
from callwright.sip.dialog import SavedDialog


def dialog(**changed: str) -> SavedDialog:
    return SavedDialog(
        **{  # type: ignore[arg-type]
            "call_id": "abc", "local": "<sip:me@example.com>;tag=a", "remote": "<sip:you@example.com>;tag=b",
            "local_tag": "a", "remote_tag": "b", "remote_target": "sip:you@192.0.2.9", "has_contact": True,
            "route_set": ("<sip:192.0.2.8;lr>",), "source_host": "192.0.2.9", "source_port": 5060, "local_cseq": 7,
            **changed,
        }
    )  # fmt: skip


@pytest.mark.parametrize("tag", ["b", "ü€😀", b"b\xb6\xffc".decode("utf-8", "surrogateescape")])
def test_a_dialog_reads_back_whatever_bytes_its_tag_is_of(tag: str) -> None:
    saved = SavedCall(dialog=dialog(remote_tag=tag, remote=f"<sip:you@example.com>;tag={tag}"), trunk="carrier")
    assert decode_call(saved.encode()) == saved


def test_what_an_earlier_version_wrote_is_a_dialog() -> None:
    assert decode_call(msgspec.json.encode(dialog())) == SavedCall(dialog=dialog())


@pytest.mark.parametrize("saved", [b"", b"{", b"[]", b"7", b"\xff", b'{"dialog": 5}', b'{"call_id": "x"}'])
def test_anything_else_is_refused_as_unreadable(saved: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_call(saved)
