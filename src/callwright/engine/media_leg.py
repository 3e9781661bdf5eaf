"""One media leg as the node sees it: what can be asked of it, what it reports, and futures in between."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar, assert_never

import structlog

from callwright.engine.interface import Keys, Silence, Sound, SoundFile, Tone
from callwright.media import protocol as wire
from callwright.media import sounds as wire_sounds
from callwright.media.codec import FRAME_MS, Codec
from callwright.media.dtmf import KEYS, is_key
from callwright.media.offer_answer import SPOKEN, Direction
from callwright.media.protocol import LegStats
from callwright.media.wav import WavFormat
from callwright.values.errors import OutsideError

log = structlog.get_logger()

T = TypeVar("T")

_CLOSE_TIMEOUT_S = 10.0
_MAX_TONE_MS = 600_000
_MAX_SOUNDS = 1_000
_LONGEST_HOST = 64
_MAX_PORT = 65_535
_CODECS = tuple(codec.name for codec in SPOKEN)


class MediaError(OutsideError):
    """A leg cannot do what was asked: a sound or recording file is at fault (`path`), or there is no room for it."""

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class MediaLost(MediaError):
    """The media worker of this leg died; the leg is of no more use."""

    def __init__(self) -> None:
        super().__init__("the media worker of this leg died; its call has to end")


class Interrupted(MediaError):
    """Whoever owns the leg stopped what it played."""

    def __init__(self) -> None:
        super().__init__("the sound was stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Digit:
    """The far end has a key down since the epoch time `at`, told at once so that a prompt can stop under it;
    `duration_ms` is how long it was down when it was heard of. `DigitEnded` follows.
    """

    key: str
    duration_ms: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitEnded:
    """The key that went down at `at` was let go after `duration_ms`."""

    key: str
    duration_ms: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRtp:
    """Nothing has arrived for `seconds`; told once until something arrives again."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackEnded:
    """A playlist is over: `reason` is finished, stopped (its await was cancelled) or closed (the leg ended)."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingEnded:
    """A recording's file is complete. `reason` is max_duration, silence, stopped or ended (the leg was closed)."""

    path: str
    duration_s: float
    contains_sound: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The leg is over and its files are complete."""

    stats: LegStats


LegEvent = Digit | DigitEnded | NoRtp | PlaybackEnded | RecordingEnded | Closed


def _ignore(event: LegEvent) -> None:
    return


class Leg:
    """One RTP stream both ways. Made by `MediaClient.open_leg`; nothing flows before `connect`."""

    def __init__(self, number: int, tell: Callable[[wire.Command], None], host: str, port: int) -> None:
        self.id = number
        self.host = host
        self.port = port
        self.signalled_by = ""
        """The host that the far end's SIP comes from: where no source is known, sound from there is believed first."""
        self.on_event: Callable[[LegEvent], None] = _ignore
        self._send = tell
        self._numbers = itertools.count(1)
        self._playbacks: dict[int, asyncio.Future[PlaybackEnded]] = {}
        self._recordings: dict[int, asyncio.Future[RecordingEnded]] = {}
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[LegStats] = self._loop.create_future()
        self._patience: asyncio.TimerHandle | None = None
        self._closing = False
        self._lost = False

    def connect(
        self,
        *,
        remote: tuple[str, int],
        codec: Codec,
        dtmf_payload: int | None,
        direction: Direction = Direction.SENDRECV,
        tone_keys: bool | None = None,
        ptime_ms: int = FRAME_MS,
    ) -> None:
        """Start sending and receiving, or change to what a re-INVITE agreed. Raise `MediaError` for a remote host
        that is not an IP address of one machine. `direction` is ours: while it does not send, playing stands still;
        while it does not receive, missing RTP is not reported. `tone_keys` says whether keys are looked for in the
        sound: when it is None, if no telephone-event was agreed. `ptime_ms` is the packet length the far end asks for:
        we send the nearest one between 10 and 60 ms.
        """
        host, port = remote
        if codec.name not in _CODECS:
            raise MediaError(f"codec {codec.name} is not one we speak; we speak {', '.join(_CODECS)}")
        if not 0 <= port <= _MAX_PORT:
            raise MediaError(f"the far end's media port {port} is not a port")
        try:
            version, host = _read_address(host)
        except ValueError as error:
            raise MediaError(f"the far end's media address {host!r} is not an IP address of one machine") from error
        if version != _read_address(self.host)[0]:
            raise MediaError(f"the far end's media address {host} and ours, {self.host}, are of different IP versions")
        self._tell(
            wire.ConnectLeg(
                leg=self.id,
                host=host,
                port=port,
                coding=codec.name,
                payload=codec.payload,
                dtmf_payload=dtmf_payload,
                send=direction.sends,
                receive=direction.receives,
                tone_keys=dtmf_payload is None if tone_keys is None else tone_keys,
                ptime_ms=ptime_ms,
                signalled_by=self.signalled_by,
            )
        )

    async def play(self, sounds: Sequence[Sound]) -> PlaybackEnded:
        """Play sounds in a row and return when the last frame was sent. Cancelling stops the sound at once.

        Playlists of one leg are played one after the other. Raise `MediaError` naming the sound that cannot be
        played; nothing of the list has been played then.
        """
        items = [_wire_sound(sound) for sound in sounds]
        if len(items) > _MAX_SOUNDS:
            raise MediaError(f"a playlist of {len(items)} sounds is too long; {_MAX_SOUNDS} are allowed")
        number = next(self._numbers)
        ended = self._expect(self._playbacks, number)
        self._tell(wire.Play(leg=self.id, playback=number, sounds=items))
        try:
            return await ended
        except asyncio.CancelledError:
            self._tell(wire.StopPlayback(leg=self.id, playback=number))
            raise
        finally:
            self._playbacks.pop(number, None)

    def interrupt(self) -> None:
        """Stop all that plays or waits to be played; whoever awaits it gets `Interrupted`."""
        for number, playback in self._playbacks.items():
            self._tell(wire.StopPlayback(leg=self.id, playback=number))
            _fail(playback, Interrupted())

    async def record(
        self,
        path: str,
        *,
        max_duration_s: float,
        max_silence_s: float,
        max_initial_silence_s: float = 0.0,
        beep: bool = False,
        format: str = "alaw",
    ) -> RecordingEnded:
        """Record what the far end sends, from its first sound on, and return when the file is complete.

        `format` is alaw, ulaw or pcm16; limits of 0 are none, except that without an initial limit `max_silence_s`
        counts from the start. With `beep` the far end hears one first. Cancelling stops the recording; its file is
        closed validly. One recording at a time: raise `MediaError` for a second one, or when the file cannot be
        written.
        """
        if format not in WavFormat._value2member_map_:
            raise MediaError(f"recording format {format!r} is not alaw, ulaw or pcm16")
        number = next(self._numbers)
        ended = self._expect(self._recordings, number)
        self._tell(
            wire.Record(
                leg=self.id,
                recording=number,
                path=_checked_path(path),
                max_duration_s=float(max_duration_s),
                max_silence_s=float(max_silence_s),
                max_initial_silence_s=float(max_initial_silence_s),
                beep=beep,
                format=str(format),
            )
        )
        try:
            return await ended
        except asyncio.CancelledError:
            self._tell(wire.StopRecording(leg=self.id, recording=number))
            raise
        finally:
            self._recordings.pop(number, None)

    def stop_recording(self) -> None:
        """End a running recording normally, with what it has."""
        for number in self._recordings:
            self._tell(wire.StopRecording(leg=self.id, recording=number))

    def send_keys(self, digits: str) -> None:
        """Send telephone keys now; what is playing goes on afterwards. Raise `MediaError` for what is no key."""
        _check_keys(digits)
        self._tell(wire.SendKeys(leg=self.id, digits=digits))

    def record_leg(self, path: str, *, mixed: bool = False, mute_keys: bool = False) -> None:
        """Record the whole leg until it closes: two audio channels, the far end left and we right, or `mixed` into
        one. With `mute_keys` both sides are silent in it while the far end, or who is joined to it, has a key down. A
        file that cannot be written is logged and does not harm the leg.
        """
        self._tell(wire.RecordLeg(leg=self.id, path=_checked_path(path), mixed=mixed, mute_keys=mute_keys))

    def join(self, other: Leg, *, relay_keys: bool = False) -> None:
        """Let the two far ends hear each other, until `part` or until one leg closes; a joint either had before is
        over. What is played to a leg goes before what the other far end says. With `relay_keys` keys that come as
        events are sent on. Raise `MediaError` when the legs are on different workers: see `MediaClient.open_leg`.
        """
        if self._send != other._send or self is other:
            raise MediaError("only two legs of one media worker can be joined; open the second beside the first")
        self._tell(wire.JoinLegs(leg=self.id, other=other.id, relay_keys=relay_keys))

    def part(self) -> None:
        """End the joint of this leg; nothing happens when it has none."""
        self._tell(wire.PartLegs(leg=self.id))

    async def close(self) -> LegStats:
        """End the leg: playing stops, recordings end and their files are complete when this returns. Closing again
        returns the same figures; a leg whose worker died has none.
        """
        return await asyncio.shield(self.begin_close())

    def begin_close(self) -> asyncio.Future[LegStats]:
        """Do as `close` and return what will have the figures, for callbacks: only `close` is to be awaited."""
        if not self._closing:
            self._tell(wire.CloseLeg(leg=self.id))
            self._closing = True
            if not self._closed.done():
                self._patience = self._loop.call_later(_CLOSE_TIMEOUT_S, self._give_up)
        return self._closed

    def hear(self, report: wire.Report) -> None:
        """Take a report of the worker about this leg."""
        match report:
            case wire.KeyHeard():
                self._emit(Digit(key=report.key, duration_ms=report.duration_ms, at=report.at))
            case wire.KeyReleased():
                self._emit(DigitEnded(key=report.key, duration_ms=report.duration_ms, at=report.at))
            case wire.RtpLost():
                self._emit(NoRtp(seconds=report.seconds))
            case wire.PlaybackDone():
                self._playback_done(report)
            case wire.RecordingDone():
                self._recording_done(report)
            case wire.LegClosed():
                self._is_closed(report.stats)
                self._emit(Closed(stats=report.stats))
            case wire.Trouble():
                log.warning(report.text, action=report.action, leg=self.id)
            case _:
                pass

    def lose(self) -> None:
        """The worker died: whatever is awaited on this leg fails."""
        self._lost = True
        self._is_closed(LegStats())
        for playback in self._playbacks.values():
            _fail(playback, MediaLost())
        for recording in self._recordings.values():
            _fail(recording, MediaLost())

    def _is_closed(self, stats: LegStats) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if not self._closed.done():
            self._closed.set_result(stats)

    def _give_up(self) -> None:
        log.error("A media leg did not close in time.", action="media.close_timeout", leg=self.id, port=self.port)
        self._is_closed(LegStats())

    def _emit(self, event: LegEvent) -> None:
        # In a turn of its own: what a listener raises is its own trouble, not that of every leg of the worker.
        self._loop.call_soon(self.on_event, event)

    def _playback_done(self, report: wire.PlaybackDone) -> None:
        future = self._playbacks.get(report.playback)
        if report.how == "failed":
            _fail(future, MediaError(f"cannot play {report.path}: {report.reason}", path=report.path))
            return
        ended = PlaybackEnded(reason=report.how)
        _settle(future, ended)
        self._emit(ended)

    def _recording_done(self, report: wire.RecordingDone) -> None:
        future = self._recordings.get(report.recording)
        if report.how == "failed":
            _fail(future, MediaError(f"cannot record to {report.path}: {report.reason}", path=report.path))
            return
        ended = RecordingEnded(
            path=report.path,
            duration_s=report.duration_s,
            contains_sound=report.contains_sound,
            reason=report.how,
        )
        _settle(future, ended)
        self._emit(ended)

    def _tell(self, command: wire.Command) -> None:
        if not self._lost and not self._closing:
            self._send(command)

    def _expect(self, futures: dict[int, asyncio.Future[T]], number: int) -> asyncio.Future[T]:
        if self._lost:
            raise MediaLost()
        if self._closing:
            raise MediaError("the media leg is closed already")
        future: asyncio.Future[T] = self._loop.create_future()
        futures[number] = future
        return future


def _settle(future: asyncio.Future[T] | None, value: T) -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T] | None, error: MediaError) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
        future.exception()  # read once here: whoever awaits it may be cancelled in the same moment


@lru_cache(maxsize=1024)
def _read_address(host: str) -> tuple[int, str]:
    """Return the IP version of a host and its one spelling, in which the worker is told who speaks (RFC 5952)."""
    address = ipaddress.ip_address(host)
    if address.is_multicast or host == "255.255.255.255":
        raise ValueError("sound for one far end is not for everybody")
    if len(host) > _LONGEST_HOST:
        raise ValueError("its zone is longer than the name of any interface")
    return address.version, str(address)


def _checked_path(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise MediaError(f"the path {path!r} is not text that can be written in UTF-8", path=path) from error
    return path


def _check_keys(digits: str) -> None:
    if wrong := [key for key in digits if not is_key(key)]:
        raise MediaError(f"{wrong[0]!r} is not a telephone key; the keys are {KEYS}")


def _wire_sound(sound: Sound) -> wire_sounds.Sound:
    """The same sound as the worker is told; raise `MediaError` for what nobody can play."""
    match sound:
        case SoundFile(path=path):
            return wire_sounds.SoundFile(_checked_path(path))
        case Keys(digits=digits):
            _check_keys(digits)
            return wire_sounds.Keys(digits)
        case Silence(ms=ms):
            return wire_sounds.Silence(int(ms))
        case Tone(frequencies=frequencies, ms=ms, level_dbm0=level):
            if not 0 <= ms <= _MAX_TONE_MS:
                raise MediaError(f"a tone of {ms} ms cannot be played; it may last up to {_MAX_TONE_MS} ms")
            return wire_sounds.Tone(tuple(map(float, frequencies)), int(ms), float(level))
        case _:
            assert_never(sound)
