"""What one leg plays: playlists one after the other, each a row of sounds, silences, tones and keys.

waiting   nothing to play, or the leg is not connected yet
loading   the sounds of the first playlist are being fetched; nothing of it has been sent
sounding  a run of frames, or of silence, is being sent
keying    RFC 4733 events are being sent
draining  a playlist was stopped in the middle of a key; the key is finished before anything else is sent

A playlist is fetched as a whole before it begins, so that one with a bad file fails without having played a bit. When
the coding changes in mid-playlist (a re-INVITE) it is fetched again and goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from callwright.media.codec import Coding
from callwright.media.dtmf import KeySender
from callwright.media.matrix import Playout
from callwright.media.sounds import Keys, Silence, Sound
from callwright.media_worker.sounds import CachedSound, SoundCache, SoundError, silence_frames

Done = Callable[[str, SoundError | None], None]
"""How a playlist ended: finished, stopped, closed, or failed with its error."""


class Phase(Enum):
    WAITING = auto()
    LOADING = auto()
    SOUNDING = auto()
    KEYING = auto()
    DRAINING = auto()


@dataclass(slots=True, eq=False)
class Playlist:
    """Sounds to play in a row. `index` and `offset` (frames) say how far it has come, `fetching` counts
    how often its sounds were asked for.
    """

    sounds: Sequence[Sound]
    done: Done
    number: int | None = None
    index: int = 0
    offset: int = 0
    coding: Coding | None = None
    missing: int = 0
    fetching: int = 0
    fetched: dict[int, CachedSound] = field(default_factory=dict)


class Player:
    """Drives one row of the playout."""

    def __init__(self, row: int, playout: Playout, cache: SoundCache, keys: KeySender) -> None:
        self._row = row
        self._playout = playout
        self._cache = cache
        self._keys = keys
        self._queue: deque[Playlist] = deque()
        self._phase = Phase.WAITING
        self._coding: Coding | None = None
        self._events = False
        self._closed = False

    @property
    def keying(self) -> bool:
        """Whether the tick has to ask the key sender for this row's packet."""
        return self._phase in (Phase.KEYING, Phase.DRAINING)

    def set_stream(self, coding: Coding, *, events: bool) -> None:
        """The leg was connected, or its stream changed; `events` says whether keys go out as RFC 4733."""
        self.hold()
        self._coding, self._events = coding, events
        if not self.keying:
            self._begin()

    def hold(self) -> None:
        """Stop sending the current run and remember where it stood; `set_stream` goes on with it."""
        if self._phase is not Phase.SOUNDING:
            return
        playlist = self._queue[0]
        playlist.offset = self._length(playlist) - self._playout.rest(self._row)
        self._phase = Phase.WAITING

    def add(self, playlist: Playlist) -> None:
        """Play after everything that waits."""
        self._queue.append(playlist)
        if self._phase is Phase.WAITING:
            self._begin()

    def interject(self, playlist: Playlist) -> None:
        """Play now; what is playing goes on afterwards."""
        self.hold()
        if self._phase is Phase.KEYING:
            self._queue.insert(1, playlist)
            return
        self._queue.appendleft(playlist)
        if self._phase is not Phase.DRAINING:
            self._begin()

    def stop(self, number: int) -> None:
        """End a playlist, playing or waiting; nothing happens when it is over already."""
        playlist = next((playlist for playlist in self._queue if playlist.number == number), None)
        if playlist is None:
            return
        current = playlist is self._queue[0]
        if current:
            self.hold()
        self._queue.remove(playlist)
        self._let_go(playlist)
        playlist.done("stopped", None)
        if current and self._phase is Phase.KEYING:
            self._keys.clear()
            self._phase = Phase.DRAINING
        elif current and self._phase is not Phase.DRAINING:
            self._begin()

    def run_over(self) -> None:
        """The tick has sent the last frame of the run."""
        if self._phase is Phase.SOUNDING:
            self._next()

    def keys_over(self) -> None:
        """The key sender has nothing more to send."""
        if self._phase is Phase.KEYING:
            self._next()
        elif self._phase is Phase.DRAINING:
            self._begin()

    def close(self) -> None:
        """The leg ends: every playlist is over."""
        self._closed = True
        self._phase = Phase.WAITING
        while self._queue:
            playlist = self._queue.popleft()
            self._let_go(playlist)
            playlist.done("closed", None)

    def _begin(self) -> None:
        """Start, or go on with, the first playlist."""
        self._phase = Phase.WAITING
        if not self._queue or self._coding is None or self._closed:
            return
        playlist = self._queue[0]
        if playlist.coding == self._coding:
            if playlist.missing:
                self._phase = Phase.LOADING
            else:
                self._advance()
            return
        self._let_go(playlist)
        playlist.coding = self._coding
        wanted = [
            (index, sound)
            for index, sound in enumerate(playlist.sounds)
            if not (isinstance(sound, Silence) or (isinstance(sound, Keys) and self._events))
        ]
        playlist.missing = len(wanted)
        if not wanted:
            self._advance()
            return
        self._phase = Phase.LOADING
        for index, sound in wanted:
            assert not isinstance(sound, Silence)
            self._cache.request(sound, self._coding, self._taker(playlist, index))

    def _taker(self, playlist: Playlist, index: int) -> Callable[[CachedSound | SoundError], None]:
        fetching = playlist.fetching

        def take(sound: CachedSound | SoundError) -> None:
            if playlist.fetching != fetching:
                # Stopped, failed or asked for anew in another coding meanwhile.
                if isinstance(sound, CachedSound):
                    self._cache.release(sound)
                return
            if isinstance(sound, SoundError):
                self._fail(playlist, sound)
                return
            playlist.fetched[index] = sound
            playlist.missing -= 1
            if not playlist.missing and playlist is self._queue[0] and self._phase is Phase.LOADING:
                self._advance()

        return take

    def _fail(self, playlist: Playlist, error: SoundError) -> None:
        first = playlist is self._queue[0]
        self._queue.remove(playlist)
        self._let_go(playlist)
        playlist.done("failed", error)
        if first and self._phase is Phase.LOADING:
            self._begin()

    def _next(self) -> None:
        playlist = self._queue[0]
        playlist.index += 1
        playlist.offset = 0
        self._begin()

    def _advance(self) -> None:
        """Send the next run of the first playlist that is not empty, or end it."""
        playlist = self._queue[0]
        while playlist.index < len(playlist.sounds):
            sound = playlist.sounds[playlist.index]
            if isinstance(sound, Keys) and playlist.index not in playlist.fetched:
                self._phase = Phase.KEYING
                self._keys.press(sound.digits)
                return
            left = self._length(playlist) - playlist.offset
            if left > 0:
                self._phase = Phase.SOUNDING
                if isinstance(sound, Silence):
                    self._playout.wait(self._row, left)
                else:
                    run = playlist.fetched[playlist.index].run
                    self._playout.play(self._row, run.start + run.rows * playlist.offset, left)
                return
            playlist.index += 1
            playlist.offset = 0
        self._queue.popleft()
        self._let_go(playlist)
        # The next playlist begins first: `done` may add more.
        self._begin()
        playlist.done("finished", None)

    def _length(self, playlist: Playlist) -> int:
        sound = playlist.sounds[playlist.index]
        return silence_frames(sound) if isinstance(sound, Silence) else playlist.fetched[playlist.index].run.frames

    def _let_go(self, playlist: Playlist) -> None:
        for sound in playlist.fetched.values():
            self._cache.release(sound)
        playlist.fetched.clear()
        playlist.coding = None
        playlist.missing = 0
        playlist.fetching += 1
