"""A call as it is kept on disk while it lives, so that a later life of the node can end it.

Before its answer it is the INVITE, to be cancelled; from then on the dialog, to be hung up.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from callwright.sip.dialog import SavedDialog
from callwright.sip.saved_invite import SavedInvite


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCall:
    """One of ``invite`` and ``dialog``, and the name of the trunk whose credentials answer challenges ("": none)."""

    invite: SavedInvite | None = None
    dialog: SavedDialog | None = None
    trunk: str = ""

    def encode(self) -> bytes:
        return _encoder.encode(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bare:
    """What earlier versions wrote: the dialog alone."""

    call_id: str = ""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SavedCall)


def decode_call(saved: bytes) -> SavedCall:
    """Read what ``SavedCall.encode`` wrote; raise ``msgspec.MsgspecError`` for anything else."""
    if msgspec.json.decode(saved, type=_Bare).call_id:
        return SavedCall(dialog=msgspec.json.decode(saved, type=SavedDialog))
    return _decoder.decode(saved)
