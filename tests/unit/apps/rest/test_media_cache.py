from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callwright.apps.rest.media_cache import DEFAULT_FRESH_S, Freshness, MediaCache, freshness_of


@pytest.mark.parametrize(
    ("headers", "fresh_s"),
    [
        ({}, DEFAULT_FRESH_S),
        ({"Cache-Control": "max-age=60"}, 60.0),
        ({"Cache-Control": "public, max-age=60"}, 60.0),
        ({"Cache-Control": "max-age=60, s-maxage=5"}, 5.0),
        ({"Cache-Control": "max-age=60", "Age": "20"}, 40.0),
        ({"Cache-Control": "max-age=60", "Age": "90"}, 0.0),
        ({"Cache-Control": "max-age=soon"}, 0.0),
        ({"Cache-Control": 'max-age="60"'}, 60.0),
        ({"Cache-Control": "no-cache"}, 0.0),
        ({"Cache-Control": "No-Store, max-age=60"}, 0.0),
        ({"Cache-Control": "private, max-age=60"}, 0.0),
    ],
)
def test_freshness_is_what_the_headers_say(headers: dict[str, str], fresh_s: float) -> None:
    assert freshness_of(headers).fresh_s == fresh_s


def test_copy_that_must_not_be_stored_has_nothing_to_ask_again_with() -> None:
    assert freshness_of({"Cache-Control": "no-store", "ETag": '"1"'}).etag == ""
    assert freshness_of({"Cache-Control": "no-cache", "ETag": '"1"'}).etag == '"1"'


def test_stored_sound_is_fresh_then_asked_for_with_conditions(tmp_path: Path) -> None:
    async def story() -> None:
        cache = MediaCache(tmp_path / "cache")
        async with cache.entry("a") as entry:
            assert not entry.is_fresh(0.0)
            assert entry.conditions() == {}
            path = await entry.store(b"1", 0.0, Freshness(fresh_s=10.0, etag='"1"', last_modified="yesterday"))
        async with cache.entry("a") as entry:
            assert entry.is_fresh(9.9)
            assert not entry.is_fresh(10.0)
            assert entry.conditions() == {"If-None-Match": '"1"', "If-Modified-Since": "yesterday"}
            entry.renew(20.0, Freshness(fresh_s=5.0))
            assert entry.is_fresh(24.0)
            assert entry.conditions()["If-None-Match"] == '"1"'
            assert entry.path == path

    asyncio.run(story())


def test_new_copy_has_a_new_name_and_the_one_before_it_stays_for_now(tmp_path: Path) -> None:
    async def story() -> None:
        cache = MediaCache(tmp_path / "cache")
        paths = []
        for body in (b"1", b"2", b"3"):
            async with cache.entry("a") as entry:
                paths.append(Path(await entry.store(body, 0.0, Freshness(fresh_s=0.0))))
        assert len(set(paths)) == 3
        assert [path.exists() for path in paths] == [False, True, True]
        assert paths[2].read_bytes() == b"3"

    asyncio.run(story())


def test_cache_that_is_full_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    async def story() -> None:
        cache = MediaCache(tmp_path / "cache", max_bytes=25)
        for name in ("a", "b", "c"):
            async with cache.entry(name) as entry:
                await entry.store(b"0123456789", 0.0, Freshness(fresh_s=10.0))
            async with cache.entry("a") as entry:
                assert entry.is_fresh(1.0)
        async with cache.entry("b") as entry:
            assert not entry.is_fresh(1.0)
        async with cache.entry("c") as entry:
            assert entry.is_fresh(1.0)
        assert len(list((tmp_path / "cache").iterdir())) == 2

    asyncio.run(story())


def test_opening_empties_the_folder(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "old.wav").touch()
    MediaCache(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
