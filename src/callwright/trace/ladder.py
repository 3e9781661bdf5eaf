"""Draws the messages of a call as a ladder for a terminal: who said what to whom, and when.

Pure. Nothing a far end wrote can steer the terminal: what is not printable is shown as ".".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from callwright.trace.message import KeptMessage, Place

WIDTH = 46  # between the two life lines
_INDENT = " " * 11

_CSEQ = re.compile(rb"\n[ \t]*CSeq[ \t]*:[ \t]*(\d+)[ \t]+([A-Za-z-]+)", re.IGNORECASE)
_BRANCH = re.compile(rb"\n(?:via|v)[ \t]*:[^\r\n]*?branch=([^;,\s]+)", re.IGNORECASE)
_TYPE = re.compile(rb"\n(?:content-type|c)[ \t]*:[ \t]*([^;\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What one message is, in a few words. ``again`` is set for a repetition."""

    what: str
    again: bool


def gists(messages: Sequence[KeptMessage]) -> list[Gist]:
    """Return what each message is."""
    seen: set[tuple[object, ...]] = set()
    found = []
    for message in messages:
        what, key = _words(message)
        found.append(Gist(what=what, again=key in seen))
        seen.add(key)
    return found


def draw(messages: Sequence[KeptMessage], *, full: bool = False) -> Iterator[str]:
    """Yield the lines of a ladder; times are milliseconds after the first message. ``full`` adds every message."""
    if not messages:
        return
    first = messages[0].at
    yield f"from {datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M:%S}.{int(first % 1 * 1000):03d} UTC, times in ms"
    place: tuple[str, Place, str] | None = None
    for number, (message, gist) in enumerate(zip(messages, gists(messages), strict=True), 1):
        here = (message.wire, message.far, message.transport)
        if here != place:
            yield from _heading(message, new_wire=place is None or place[0] != message.wire)
            place = here
        if message.left_out:
            yield f"{_INDENT}:{f'({message.left_out} messages were not kept)':^{WIDTH}}:"
        again = " (again)" if gist.again else ""
        yield f"{(message.at - first) * 1000:>9.0f}  {_arrow(gist.what + again, sent=message.sent)}  {number}"
    yield f"{_INDENT}|{'':{WIDTH}}|"
    if full:
        for number, message in enumerate(messages, 1):
            yield from _whole(number, message, first)


def _heading(message: KeptMessage, *, new_wire: bool) -> Iterator[str]:
    if new_wire:
        yield ""
        yield f"{_INDENT}Call-ID {printable(message.wire)[:80]}"
    near, far = f"callwright {place_text(message.near)}", f"{place_text(message.far)} {message.transport}"
    yield (
        f"{_INDENT}{near}{far:>{max(1, WIDTH + 2 - len(near))}}"
        if len(near + far) <= WIDTH
        else (f"{_INDENT}{near}  with  {far}")
    )


def _arrow(what: str, *, sent: bool) -> str:
    text = f" {what[: WIDTH - 6]} "
    line = f"{text:-^{WIDTH - 1}}"
    return f"|{line}>|" if sent else f"|<{line}|"


def _whole(number: int, message: KeptMessage, first: float) -> Iterator[str]:
    way = "sent to" if message.sent else "received from"
    cut = "" if len(message.data) == message.length else f", only {len(message.data)} kept"
    yield ""
    yield (
        f"{number}  {(message.at - first) * 1000:.0f} ms, {way} {place_text(message.far)} by {message.transport}, "
        f"{message.length} bytes{cut}"
    )
    for line in message.data.decode(errors="replace").replace("\r\n", "\n").split("\n"):
        yield f"    {printable(line)}".rstrip()


def _words(message: KeptMessage) -> tuple[str, tuple[object, ...]]:
    """Return a message in words, and what is the same in its repetitions."""
    data = message.data
    line = data.partition(b"\r\n")[0].decode(errors="replace")
    cseq, branch = _CSEQ.search(data), _BRANCH.search(data)
    number = cseq[1].decode()[:10] if cseq else "?"
    method = cseq[2].decode() if cseq else ""
    key = (message.sent, message.wire, message.far, line, number, method, branch[1] if branch else data)
    sdp = " +SDP" if _has_sdp(data) else ""
    if line.startswith("SIP/2.0 "):
        return f"{printable(line[8:])[:28]}{sdp} ({number} {printable(method)[:10]})", key
    return f"{printable(line.partition(' ')[0])[:16]}{sdp} ({number})", key


def _has_sdp(data: bytes) -> bool:
    kind = _TYPE.search(data)
    return kind is not None and kind[1].lower() == b"application/sdp"


def printable(text: str) -> str:
    """Return a text of one line without anything that could steer a terminal."""
    return "".join(char if char.isprintable() or char == "\t" else "." for char in text)


def place_text(place: Place) -> str:
    """Return host and port as people write them."""
    host, port = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
