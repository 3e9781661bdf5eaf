"""The prompt cache on a real disk."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from callwright.speech.cache import CacheUnusable, SoundCache
from callwright.speech.script import Script, Utterance, write_script
from callwright.speech.sound import silence, wav_file
from callwright.speech.voices import Gender, Voice

HEART = Voice(engine="hibari", name="heart", language="en", region="US", gender=Gender.FEMALE)
SECOND = wav_file([silence(1.0)])
KEEP_S = 600.0


@dataclass(slots=True)
class Clock:
    at: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.at


def opened(folder: Path, *, limit: int = 10**9, clock: Clock | None = None) -> SoundCache:
    cache = SoundCache(folder=folder, limit_bytes=limit, private_ttl_s=KEEP_S, now=clock or Clock())
    cache.open()
    return cache


def script(text: str) -> Script:
    return write_script(text, language="en")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_sound_is_found_again_also_by_the_next_life_of_the_node(tmp_path: Path) -> None:
    cache = opened(tmp_path / "speech")
    assert cache.find("a", private=False) is None
    made = cache.put("a", SECOND, private=False)
    assert (made.path.read_bytes(), made.duration_s) == (SECOND, 1.0)
    assert opened(tmp_path / "speech").find("a", private=False) == made


def test_the_name_follows_everything_that_changes_the_sound(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    slow = Script(parts=(Utterance(text="Hello", rate=0.75, gain_db=0.0),))
    other = Voice(engine="flite", name="slt", language="en", region="US", gender=Gender.FEMALE)
    names = [
        cache.name(HEART, "1", script("Hello"), private=False),
        cache.name(HEART, "2", script("Hello"), private=False),
        cache.name(HEART, "1", script("Hello!"), private=False),
        cache.name(HEART, "1", slow, private=False),
        cache.name(other, "1", script("Hello"), private=False),
    ]
    assert len(set(names)) == len(names)
    assert names[0] == cache.name(HEART, "1", script("<speak>Hello</speak>"), private=False)


def test_the_name_of_a_private_sound_cannot_be_found_by_trying(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "one"), opened(tmp_path / "two")
    secret = script("4096")
    assert one.name(HEART, "1", secret, private=True) == one.name(HEART, "1", secret, private=True)
    assert one.name(HEART, "1", secret, private=True) != two.name(HEART, "1", secret, private=True)
    assert one.name(HEART, "1", secret, private=True) != one.name(HEART, "1", secret, private=False)


def test_folders_and_files_are_for_the_node_alone(tmp_path: Path) -> None:
    cache = opened(tmp_path / "deep" / "speech")
    for private in (False, True):
        made = cache.put("a", SECOND, private=private)
        assert mode(made.path) == 0o600
        assert mode(made.path.parent) == 0o700
    assert mode(tmp_path / "deep" / "speech") == 0o700


def test_private_sounds_are_gone_after_closing_with_all_that_held_them(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    path = cache.put("a", SECOND, private=True).path
    cache.close()
    cache.close()
    assert not path.parent.exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["lock", "shared"]


def test_private_sounds_of_a_killed_process_are_removed_by_the_next_and_those_of_a_living_one_stay(
    tmp_path: Path,
) -> None:
    program = (
        "import os, pathlib, signal, sys\n"
        "from callwright.speech.cache import SoundCache\n"
        f"cache = SoundCache(folder=pathlib.Path({str(tmp_path)!r}), limit_bytes=10**9, private_ttl_s=600)\n"
        "cache.open()\n"
        "cache.put('a', b'secret', private=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("private-*/a.wav")

    living = opened(tmp_path)
    mine = living.put("b", SECOND, private=True).path
    assert not left.parent.exists()
    opened(tmp_path).close()
    assert mine.exists()
    living.close()


def test_private_sounds_expire_when_they_are_not_used(tmp_path: Path) -> None:
    clock = Clock()
    cache = opened(tmp_path, clock=clock)
    used, unused = (cache.put(name, SECOND, private=True) for name in ("used", "unused"))
    clock.at += KEEP_S - 1
    assert cache.find("used", private=True) == used
    clock.at += 2
    cache.expire_private()
    assert used.path.exists()
    assert not unused.path.exists()


def test_the_least_recently_used_sounds_make_room(tmp_path: Path) -> None:
    clock = Clock()
    cache = opened(tmp_path, limit=5 * len(SECOND), clock=clock)
    for name in "abcde":
        cache.put(name, SECOND, private=False)
        clock.at += 400
    assert cache.find("a", private=False)
    clock.at += 400
    cache.put("f", SECOND, private=False)
    left = {name for name in "abcdef" if cache.find(name, private=False)}
    assert left == {"a", "d", "e", "f"}


def test_sounds_that_may_be_playing_stay_even_above_the_limit(tmp_path: Path) -> None:
    clock = Clock()
    cache = opened(tmp_path, limit=len(SECOND), clock=clock)
    for name in "abc":
        cache.put(name, SECOND, private=False)
        clock.at += 60
    assert all(cache.find(name, private=False) for name in "abc")


def test_a_folder_that_grew_too_large_is_trimmed_when_opened(tmp_path: Path) -> None:
    cache = opened(tmp_path, clock=Clock(at=1000.0))
    for name in "abc":
        cache.put(name, SECOND, private=False)
    smaller = opened(tmp_path, limit=2 * len(SECOND))
    assert sum(smaller.find(name, private=False) is not None for name in "abc") == 1


@pytest.mark.parametrize("length", [0, 10, 44, len(SECOND) - 1])
def test_a_shortened_file_is_removed_and_not_played(tmp_path: Path, length: int) -> None:
    cache = opened(tmp_path)
    path = cache.put("a", SECOND, private=False).path
    path.write_bytes(SECOND[:length])
    assert cache.find("a", private=False) is None
    assert not path.exists()


def test_unfinished_files_of_a_former_life_are_removed_but_not_those_being_written(tmp_path: Path) -> None:
    clock = Clock()
    shared = opened(tmp_path, clock=clock).put("a", SECOND, private=False).path.parent
    old, new = shared / "b.1234.part", shared / "c.1234.part"
    for part, age in ((old, 301), (new, 1)):
        part.write_bytes(b"half")
        os.utime(part, (clock.at - age, clock.at - age))
    opened(tmp_path, clock=clock)
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheUnusable, match=r"speech cannot be used: Not a directory\."):
        opened(tmp_path / "file" / "speech")


def test_a_sound_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    os.rmdir(tmp_path / "shared")
    (tmp_path / "shared").write_text("in the way")
    with pytest.raises(CacheUnusable, match=r"A prompt could not be written to .*: Not a directory\."):
        cache.put("a", SECOND, private=False)
