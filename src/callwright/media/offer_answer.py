"""Offer and answer for one audio stream (RFC 3264): its codec and telephone-event (RFC 4733, section 2.4).

`offer` writes what we propose, `choose` reads the answer to it, `answer` replies to a peer's offer (an incoming call,
a re-INVITE, a hold). All three speak of directions as *we* see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import msgspec

from callwright.media import g722, sdp
from callwright.media.codec import DTMF_PAYLOAD, FRAME_MS, G722, L16, PCMA, PCMU, SAMPLE_RATE, Codec
from callwright.values.errors import PeerError

CODECS = (PCMA, PCMU)
"""What is offered, and taken from an offer, unless told otherwise."""
SPOKEN = (*CODECS, G722, L16) if g722.SPOKEN else (*CODECS, L16)
"""What can be named: all we speak on this machine."""
_PROTOCOLS = ("RTP/AVP", "RTP/AVPF")
_STATIC = {"0": "PCMU", "8": "PCMA", "9": "G722"}
_EVENT = "TELEPHONE-EVENT"

_Attributes = tuple[tuple[str, str], ...]


class NothingInCommon(PeerError):
    """The peer's description leaves no audio stream both sides can speak; answer 488 or end the call."""


class Direction(StrEnum):
    """Which way sound flows, as we see it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def mirrored(self) -> Direction:
        """The same stream as the peer sees it."""
        return _MIRRORED[self]


def _direction(*, sends: bool, receives: bool) -> Direction:
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


_MIRRORED = {one: _direction(sends=one.receives, receives=one.sends) for one in Direction}
_TELLING = {"rtpmap", "ptime", "maxptime", *(direction.value for direction in Direction)}
"""The attributes that say something of the sound."""
_MOST_WORDS = 64


class Agreed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What both sides settled on.

    `remote` is where our RTP goes; `direction` says whether we may send and should expect RTP: a peer that holds us
    (`sendonly`, `inactive`, address 0.0.0.0, port 0) leaves `recvonly` or `inactive`. `dtmf_payload` is None when the
    peer takes no telephone-event. `ptime_ms` is the packet length the peer asks for.
    """

    remote: tuple[str, int]
    codec: Codec
    dtmf_payload: int | None
    direction: Direction
    ptime_ms: int = FRAME_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Our reply to an offer: the bytes to send, and what they agree on."""

    body: bytes
    agreed: Agreed


def codecs_named(names: Sequence[str]) -> tuple[Codec, ...]:
    """The codecs of these names (as in `SPOKEN`, in either case), most wanted first, as `offer`, `choose` and `answer`
    take them; raise ValueError for one we do not speak, for one named twice and for none at all.
    """
    found = tuple(codec for name in names for codec in SPOKEN if codec.name == name.strip().upper())
    if len(found) != len(names) or len(set(found)) != len(found) or not found:
        ours = ", ".join(codec.name for codec in SPOKEN)
        raise ValueError(f"{', '.join(names) or 'no codec'}: name each codec once; we speak {ours}")
    return found


def offer(
    host: str,
    port: int,
    codecs: Sequence[Codec] = CODECS,
    *,
    dtmf_payload: int | None = DTMF_PAYLOAD,
    direction: Direction = Direction.SENDRECV,
    session_id: int = 1,
    version: int = 1,
) -> bytes:
    """Render an offer of `codecs` in this order of preference, received at `host`:`port`."""
    formats, attributes = _offered(tuple(codecs), dtmf_payload, direction)
    opening = sdp.opening(host, session_id=session_id, version=version)
    return f"{opening}m=audio {port} RTP/AVP {formats}\r\n{attributes}".encode()


def choose(answer_body: bytes, codecs: Sequence[Codec] = CODECS) -> Agreed:
    """Read the peer's answer to our offer of `codecs`; raise `SdpError` or `NothingInCommon`."""
    description = sdp.parse(answer_body)
    media = _usable(description)
    if media is None:
        raise NothingInCommon("the peer's answer has no audio over RTP/AVP")
    if media.port == 0:
        raise NothingInCommon("the peer refused the audio stream (port 0)")
    return _agree(media, codecs)


def answer(
    offer_body: bytes,
    host: str,
    port: int,
    codecs: Sequence[Codec] = CODECS,
    *,
    direction: Direction = Direction.SENDRECV,
    session_id: int = 1,
    version: int = 1,
) -> Answer:
    """Reply to a peer's offer, taking its first codec that is in `codecs`; raise `SdpError` or `NothingInCommon`.

    Other media sections are declined with port 0, so that every offered section has its answer (RFC 3264, 6). An
    audio section with port 0 is answered in kind and leaves the direction inactive. `direction` is what we want; the
    peer's own wish narrows it.
    """
    description = sdp.parse(offer_body)
    taken = _usable(description)
    if taken is None:
        raise NothingInCommon("the peer offers no audio over RTP/AVP")
    agreed = _agree(taken, codecs)
    agreed = Agreed(
        remote=agreed.remote,
        codec=agreed.codec,
        dtmf_payload=agreed.dtmf_payload,
        direction=_direction(
            sends=agreed.direction.sends and direction.sends, receives=agreed.direction.receives and direction.receives
        ),
        ptime_ms=agreed.ptime_ms,
    )
    sections = tuple(
        _audio(port if taken.port else 0, (agreed.codec,), agreed.dtmf_payload, agreed.direction, taken.protocol)
        if media is taken
        else sdp.Media(kind=media.kind, port=0, protocol=media.protocol, formats=media.formats or ("0",))
        for media in description.media
    )
    body = sdp.render(sdp.Description(session_id=session_id, version=version, host=host, media=sections))
    return Answer(body=body, agreed=agreed)


@lru_cache(maxsize=64)
def _offered(codecs: tuple[Codec, ...], dtmf_payload: int | None, direction: Direction) -> tuple[str, str]:
    """What is the same in all offers of these codecs: the formats of the m= line, and the lines after it."""
    audio = _audio(0, codecs, dtmf_payload, direction)
    return " ".join(audio.formats), sdp.attribute_lines(audio.attributes)


def _audio(
    port: int, codecs: Sequence[Codec], dtmf_payload: int | None, direction: Direction, protocol: str = "RTP/AVP"
) -> sdp.Media:
    attributes = [("rtpmap", f"{codec.payload} {codec.name}/{SAMPLE_RATE}") for codec in codecs]
    formats = [str(codec.payload) for codec in codecs]
    if dtmf_payload is not None:
        attributes += [("rtpmap", f"{dtmf_payload} telephone-event/{SAMPLE_RATE}"), ("fmtp", f"{dtmf_payload} 0-15")]
        formats.append(str(dtmf_payload))
    attributes += [("ptime", str(FRAME_MS)), (direction.value, "")]
    return sdp.Media(kind="audio", port=port, protocol=protocol, formats=tuple(formats), attributes=tuple(attributes))


def _usable(description: sdp.Description) -> sdp.Media | None:
    """The first live audio section over plain RTP, or else the first such section that is switched off."""
    audio = [media for media in description.media if media.kind == "audio" and media.protocol in _PROTOCOLS]
    return next((media for media in audio if media.port), audio[0] if audio else None)


class _Terms(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a section says of its sound, wherever it goes. `codec` is None when it has none of ours."""

    codec: Codec | None
    dtmf_payload: int | None
    wished: Direction
    ptime_ms: int


def _agree(media: sdp.Media, codecs: Sequence[Codec]) -> Agreed:
    telling = tuple(attribute for attribute in media.attributes if attribute[0] in _TELLING)
    # Who says more than telephones do is asked each time: what is kept must not grow with it.
    find = _terms if len(media.formats) + len(telling) <= _MOST_WORDS else _terms.__wrapped__
    terms = find(media.formats, telling, tuple(codecs))
    if terms.codec is None:
        names = _format_names(media.formats, telling)
        theirs = ", ".join(names[f][0] if f in names else f for f in media.formats) or "nothing"
        ours = ", ".join(codec.name for codec in codecs)
        raise NothingInCommon(f"no common audio codec: the peer takes {theirs[:200]}, we speak {ours}")
    direction = (Direction.INACTIVE if media.port == 0 else terms.wished).mirrored
    if media.port == 0 or media.host in ("", "0.0.0.0", "::"):
        # The old way to hold (RFC 3264, 8.4): there is no address to send to.
        direction = _direction(sends=False, receives=direction.receives)
    return Agreed(
        remote=(media.host, media.port),
        codec=terms.codec,
        dtmf_payload=terms.dtmf_payload,
        direction=direction,
        ptime_ms=terms.ptime_ms,
    )


@lru_cache(maxsize=64)  # a telephone says the same in each call, and many are of one kind
def _terms(formats: tuple[str, ...], attributes: _Attributes, codecs: tuple[Codec, ...]) -> _Terms:
    names = _format_names(formats, attributes)
    found = next(
        (
            Codec(name=codec.name, payload=int(payload))
            for payload in formats
            for codec in codecs
            if _is_payload_type(payload) and names.get(payload) == (codec.name, SAMPLE_RATE)
        ),
        None,
    )
    event = next((int(f) for f in formats if _is_payload_type(f) and names.get(f) == (_EVENT, SAMPLE_RATE)), None)
    return _Terms(codec=found, dtmf_payload=event, wished=_wished(attributes), ptime_ms=_ptime(attributes))


def _is_payload_type(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) < 128


def _format_names(formats: tuple[str, ...], attributes: _Attributes) -> dict[str, tuple[str, int]]:
    """Payload type → (encoding name in capitals, clock rate), static types included (RFC 3551, table 4)."""
    names = {payload: (name, SAMPLE_RATE) for payload, name in _STATIC.items()}
    for value in (text for name, text in attributes if name == "rtpmap"):
        payload, _, encoding = value.partition(" ")
        name, _, rest = encoding.strip().partition("/")
        rate, _, channels = rest.partition("/")
        if rate.isascii() and rate.isdigit() and channels in ("", "1"):
            names[payload] = (name.upper(), int(rate[:9]))
        else:
            names.pop(payload, None)
    return {payload: names[payload] for payload in formats if payload in names}


def _wished(attributes: _Attributes) -> Direction:
    for name, _ in attributes:
        if name in Direction._value2member_map_:
            return Direction(name)
    return Direction.SENDRECV


def _ptime(attributes: _Attributes) -> int:
    wanted, most = (_milliseconds(attributes, name) for name in ("ptime", "maxptime"))
    return min(wanted or FRAME_MS, most or wanted or FRAME_MS)


def _milliseconds(attributes: _Attributes, wanted: str) -> int | None:
    text = next((value for name, value in attributes if name == wanted), "").partition(".")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= 200 else None
