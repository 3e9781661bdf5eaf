"""Playlists of one leg, with a cache that answers when the test says so."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from callwright.media.arena import Arena
from callwright.media.codec import Coding
from callwright.media.dtmf import KeySender
from callwright.media.matrix import Playout
from callwright.media.sounds import Keys, Silence, SoundFile
from callwright.media_worker.player import Player, Playlist
from callwright.media_worker.sounds import CachedSound, Loadable, SoundCache, SoundError, Taker

SILENCE = {Coding.ALAW: 0xD5, Coding.ULAW: 0xFF}


class HandedCache:
    """A cache whose sounds appear on `deliver`; every sound of file `3` is three frames of octet 3, and so on."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.asked: list[tuple[Loadable, Coding, Taker]] = []
        self.pinned = 0

    def request(self, sound: Loadable, law: Coding, taker: Taker) -> None:
        self.asked.append((sound, law, taker))

    def release(self, sound: CachedSound) -> None:
        self.pinned -= 1

    def deliver(self) -> None:
        asked, self.asked = self.asked, []
        for sound, law, taker in asked:
            if isinstance(sound, SoundFile) and not sound.path.isdigit():
                taker(SoundError(sound.path, "it is bad"))
                continue
            octet = int(sound.path) if isinstance(sound, SoundFile) else 99
            run = self.arena.store(
                np.full((octet if octet < 99 else 1, 160), octet + 100 * (law == Coding.ULAW), np.uint8)
            )
            assert run is not None
            self.pinned += 1
            taker(CachedSound(sound, run, 1))


class Stage:
    """A player on row 0 of a playout, ticked by hand."""

    def __init__(self, *, connected: bool = True, events: bool = True) -> None:
        arena = Arena(500)
        self.cache = HandedCache(arena)
        self.playout = Playout(1, arena)
        self.playout.attach(0, ssrc=1, sequence=0, timestamp=0)
        self.keys = KeySender()
        self.player = Player(0, self.playout, cast(SoundCache, self.cache), self.keys)
        self.ended: list[tuple[int, str]] = []
        if connected:
            self.connect(Coding.ALAW, events=events)

    def connect(self, law: Coding, *, events: bool = True) -> None:
        self.player.hold()
        self.playout.set_stream(0, coding=law, payload_type=0, sending=True)
        self.player.set_stream(law, events=events)

    def playlist(self, number: int, *sounds: SoundFile | Silence | Keys) -> Playlist:
        return Playlist(sounds, lambda how, error: self.ended.append((number, how)), number=number)

    def play(self, number: int, *sounds: SoundFile | Silence | Keys) -> None:
        self.player.add(self.playlist(number, *sounds))

    def ticks(self, count: int) -> str:
        """What was sent, a letter for each tick: a digit for its sound, `.` silence, `k` a key."""
        sent = ""
        for _ in range(count):
            event = self.keys.tick(int(self.playout.timestamp[0])) if self.player.keying else None
            over = self.playout.tick()
            octet = int(self.playout.packets[0, 12])
            silence = octet in SILENCE.values()
            sent += "k" if event else "." if silence else "abcdefghij"[octet - 100] if octet >= 100 else str(octet)[0]
            if len(over):
                self.player.run_over()
            if self.player.keying and not self.keys.busy:
                self.player.keys_over()
        return sent


def test_sounds_follow_each_other_without_a_gap() -> None:
    stage = Stage()
    stage.play(1, SoundFile("3"), Silence(40), SoundFile("2"))
    assert stage.ticks(2) == ".."
    stage.cache.deliver()
    assert stage.ticks(9) == "333..22.."
    assert stage.ended == [(1, "finished")]
    assert stage.cache.pinned == 0


def test_playlists_wait_for_each_other() -> None:
    stage = Stage()
    stage.play(1, SoundFile("2"))
    stage.play(2, SoundFile("3"))
    stage.cache.deliver()
    assert stage.ticks(2) == "22"
    stage.cache.deliver()
    assert stage.ticks(4) == "333."
    assert stage.ended == [(1, "finished"), (2, "finished")]


def test_nothing_begins_before_the_leg_is_connected() -> None:
    stage = Stage(connected=False)
    stage.play(1, SoundFile("2"))
    assert stage.cache.asked == []
    stage.connect(Coding.ALAW)
    stage.cache.deliver()
    assert stage.ticks(3) == "22."


@pytest.mark.parametrize("sounds", [(), (Silence(0),), (Silence(-5), Silence(0))])
def test_a_playlist_without_sound_is_over_at_once(sounds: tuple[Silence, ...]) -> None:
    stage = Stage()
    stage.play(1, *sounds)
    assert stage.ended == [(1, "finished")]


def test_a_playlist_with_a_bad_sound_fails_whole_and_the_next_one_plays() -> None:
    stage = Stage()
    stage.play(1, SoundFile("2"), SoundFile("bad"), SoundFile("3"))
    stage.play(2, SoundFile("4"))
    stage.cache.deliver()
    stage.cache.deliver()
    assert stage.ended == [(1, "failed")]
    assert stage.ticks(5) == "4444."
    assert stage.cache.pinned == 0


@pytest.mark.parametrize("loaded", [True, False])
def test_a_stopped_playlist_falls_silent_at_once_and_lets_its_sounds_go(loaded: bool) -> None:
    stage = Stage()
    stage.play(1, SoundFile("9"))
    if loaded:
        stage.cache.deliver()
        assert stage.ticks(2) == "99"
    stage.player.stop(1)
    stage.player.stop(1)
    stage.cache.deliver()
    assert stage.ticks(3) == "..."
    assert stage.ended == [(1, "stopped")]
    assert stage.cache.pinned == 0


def test_stopping_one_that_waits_leaves_the_current_one_alone() -> None:
    stage = Stage()
    stage.play(1, SoundFile("3"))
    stage.play(2, SoundFile("4"))
    stage.cache.deliver()
    stage.player.stop(2)
    assert stage.ticks(5) == "333.."
    assert stage.ended == [(2, "stopped"), (1, "finished")]


def test_keys_are_events_when_agreed_and_sounds_otherwise() -> None:
    stage = Stage()
    stage.play(1, Keys("1"), SoundFile("2"))
    stage.cache.deliver()
    assert stage.ticks(16).rstrip(".") == "kkkkkkk......22"
    without = Stage(events=False)
    without.play(1, Keys("1"), SoundFile("2"))
    without.cache.deliver()
    assert without.ticks(4) == "922."


def test_a_key_stopped_in_the_middle_is_finished_before_the_next_sound() -> None:
    stage = Stage()
    stage.play(1, Keys("123"))
    stage.play(2, SoundFile("2"))
    assert stage.ticks(2) == "kk"
    stage.player.stop(1)
    stage.cache.deliver()
    assert stage.ended == [(1, "stopped")]
    assert stage.ticks(9) == "kkkkk...."
    stage.cache.deliver()
    stage.ticks(3)
    stage.cache.deliver()
    assert "22" in stage.ticks(5)


def test_an_interjection_interrupts_and_the_rest_follows() -> None:
    stage = Stage()
    stage.play(1, SoundFile("5"))
    stage.cache.deliver()
    assert stage.ticks(2) == "55"
    stage.player.interject(stage.playlist(9, SoundFile("1")))
    stage.cache.deliver()
    assert stage.ticks(6) == "1555.."
    assert stage.ended == [(9, "finished"), (1, "finished")]


def test_an_interjection_into_keys_follows_them() -> None:
    stage = Stage()
    stage.play(1, Keys("1"), SoundFile("2"))
    stage.cache.deliver()
    assert stage.ticks(2) == "kk"
    stage.player.interject(stage.playlist(9, Keys("2")))
    sent = stage.ticks(40)
    assert sent.count("k") == 5 + 7
    assert sent.index("22") < sent.rindex("k")
    assert stage.ended == [(1, "finished"), (9, "finished")]


def test_another_law_is_fetched_and_the_sound_goes_on_where_it_was() -> None:
    stage = Stage()
    stage.play(1, SoundFile("5"))
    stage.cache.deliver()
    assert stage.ticks(2) == "55"
    stage.connect(Coding.ULAW)
    assert stage.ticks(1) == "."
    stage.cache.deliver()
    assert stage.ticks(5) == "fff.."
    assert stage.ended == [(1, "finished")]
    assert stage.cache.pinned == 0


def test_the_law_may_change_while_sounds_are_fetched() -> None:
    stage = Stage()
    stage.play(1, SoundFile("2"))
    stage.connect(Coding.ULAW)
    stage.connect(Coding.ALAW)
    assert len(stage.cache.asked) == 3
    stage.cache.deliver()
    assert stage.ticks(4) == "22.."
    assert stage.ended == [(1, "finished")]
    assert stage.cache.pinned == 0


def test_a_re_invite_of_the_same_law_changes_nothing() -> None:
    stage = Stage()
    stage.play(1, SoundFile("5"))
    stage.cache.deliver()
    assert stage.ticks(2) == "55"
    stage.connect(Coding.ALAW)
    assert stage.ticks(4) == "555."


def test_closing_ends_everything() -> None:
    stage = Stage()
    stage.play(1, SoundFile("5"))
    stage.play(2, Keys("1"))
    stage.cache.deliver()
    stage.ticks(1)
    stage.player.close()
    assert stage.ended == [(1, "closed"), (2, "closed")]
    assert stage.cache.pinned == 0
    stage.cache.deliver()
    assert not stage.player.keying
