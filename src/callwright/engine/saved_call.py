"""A call as it is kept on disk while it lives, so that a later life of the node can end it.

Before its answer it is the INVITE, to be cancelled; from then on the dialog, to be hung up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from callwright.sip.dialog import SavedDialog
from callwright.sip.saved_invite import SavedInvite


class SavedCall(msgspec.Struct, frozen=True, kw_only=True):
    """One of ``invite`` and ``dialog``, and the name of the trunk whose credentials answer challenges ("": none)."""

    invite: SavedInvite | None = None
    dialog: SavedDialog | None = None
    trunk: str = ""

    def encode(self) -> bytes:
        try:
            return _encoder.encode(self)
        except UnicodeEncodeError:
            # A far end may use bytes that are no UTF-8, and gets them back as they came (callwright.sip.headers).
            return json.dumps(msgspec.to_builtins(self)).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bare:
    """What earlier versions wrote: the dialog alone."""

    call_id: str = ""


_encoder = msgspec.json.Encoder()


def decode_call(saved: bytes) -> SavedCall:
    """Read what ``SavedCall.encode`` wrote; raise ``msgspec.MsgspecError`` for anything else."""
    try:
        read = json.loads(saved)  # takes what ``encode`` made of bytes that are no UTF-8, as msgspec's own does not
    except ValueError as problem:
        raise msgspec.DecodeError(f"a saved call cannot be read: {problem}") from problem
    if msgspec.convert(read, _Bare).call_id:
        return SavedCall(dialog=msgspec.convert(read, SavedDialog))
    return msgspec.convert(read, SavedCall)
