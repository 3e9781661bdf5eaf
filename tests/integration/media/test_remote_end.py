"""Where the far end of a leg is and what comes of it: its address, moves, holds, silence, losses."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.audio import find_tone, level_at, read_wav, sine
from tests.support.media_line import PORTS, line, run
from tests.support.rtp_peer import RtpPeer, companded, rtp

from callwright.engine.interface import Silence, Tone
from callwright.engine.media_client import (
    MediaClient,
    NoRtp,
    PlaybackEnded,
)
from callwright.media.codec import PCMA, PCMU
from callwright.media.offer_answer import Direction


def test_rtp_follows_the_first_source_and_strangers_are_ignored(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            behind_nat, stranger = await RtpPeer.open(8), await RtpPeer.open(8)
            behind_nat.target = stranger.target = (at.leg.host, at.leg.port)
            stranger.send(b"not rtp at all")
            stranger.send(rtp(96, 1, 1, b"\0" * 160, ssrc=5))
            for _ in range(3):
                behind_nat.send_sound(b"\xd5" * 160)
                stranger.send(rtp(8, 1, 1, b"\0" * 160, ssrc=5))
            await behind_nat.until(lambda heard: len(heard) > 5)
            recording = asyncio.create_task(
                at.leg.record(str(tmp_path / "said.wav"), max_duration_s=20, max_silence_s=0.3, max_initial_silence_s=5)
            )
            await asyncio.gather(behind_nat.speak(sine(600, 500)), stranger.speak(sine(1800, 500)))
            await recording
            sound = read_wav(tmp_path / "said.wav")
            assert find_tone(sound, 600) is not None
            assert level_at(sound, 1800) < -50
            assert not stranger.heard
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == behind_nat.address
            assert stats.packets_received == 26
            behind_nat.close()
            stranger.close()

    run(work)


def test_a_far_end_that_moves_is_followed_once_and_only_after_it_fell_silent() -> None:
    async def work() -> None:
        async with line() as at:
            peers = [await RtpPeer.open(8) for _ in range(3)]
            first, second, third = peers
            for number, peer in enumerate(peers):
                peer.target = (at.leg.host, at.leg.port)
                peer.ssrc += number  # each its own stream
            await first.speak(sine(600, 100))
            await first.until(lambda heard: len(heard) > 3)
            # While the first one goes on speaking nobody else is heard.
            await asyncio.gather(first.speak(sine(600, 1500)), second.speak(sine(1200, 1500)))
            assert not second.heard
            # Sound of the second one comes all the time: as soon as the first one was silent for a second it counts.
            speaking = asyncio.create_task(second.speak(sine(1200, 4000)))
            await second.until(lambda heard: len(heard) > 3)
            await speaking
            moved = asyncio.create_task(third.speak(sine(1800, 3000)))
            await at.leg.play([Silence(ms=2800)])
            await moved
            assert not third.heard
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == second.address
            for peer in peers:
                peer.close()

    run(work)


def test_a_new_negotiated_address_is_followed(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at:
            at.peer.send_sound(b"\xd5" * 160)
            await at.peer.until(lambda heard: len(heard) > 2)
            moved = await RtpPeer.open(0)
            moved.target = (at.leg.host, at.leg.port)
            playing = asyncio.create_task(at.leg.play([Tone(frequencies=(800.0,), ms=1500)]))
            await at.peer.until(lambda heard: find_tone(at.peer.sound()[-800:], 800) is not None)
            at.leg.connect(remote=moved.address, codec=PCMU, dtmf_payload=None)
            await playing
            await moved.until(lambda heard: len(heard) > 10)
            tone = find_tone(moved.sound(), 800)
            assert tone is not None
            assert tone.level == pytest.approx(-13.0, abs=1.0)
            moved.send_sound(b"\xff" * 160)
            stats = await at.leg.close()
            assert stats.remote_port == moved.address[1]
            moved.close()

    run(work)


def test_nothing_is_sent_while_the_far_end_holds() -> None:
    async def work() -> None:
        async with line() as at:
            await at.peer.until(lambda heard: len(heard) > 3)
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101, direction=Direction.INACTIVE)
            before = (await at.client.report())[0]
            after = before
            while after.ticks < before.ticks + 10:
                await asyncio.sleep(0)
                after = (await at.client.report())[0]
            assert after.packets_sent == before.packets_sent
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101)
            await at.leg.play([Tone(frequencies=(800.0,), ms=200)])
            await at.peer.until(lambda heard: find_tone(at.peer.sound(), 800) is not None)
            assert {packet.ssrc for packet in at.peer.heard} == {at.peer.heard[0].ssrc}

    run(work)


def test_missing_rtp_is_told_once_until_it_comes_again() -> None:
    async def work() -> None:
        async with line(no_rtp_s=1.0) as at:
            await at.until(lambda events: len(events) == 1)
            ticks = (await at.client.report())[0].ticks
            while (await at.client.report())[0].ticks < ticks + 120:
                await at.leg.play([Silence(ms=200)])
            assert [type(event) for event in at.events if not isinstance(event, PlaybackEnded)] == [NoRtp]
            at.peer.send_sound(b"\xd5" * 160)
            await at.until(lambda events: sum(isinstance(event, NoRtp) for event in events) == 2)
            assert all(event.seconds >= 1.0 for event in at.events if isinstance(event, NoRtp))

    run(work)


def test_statistics_count_what_was_lost_and_what_came() -> None:
    async def work() -> None:
        async with line() as at:
            await at.peer.until(lambda heard: len(heard) > 2)
            for index in range(20):
                packet = companded(sine(500, 20), 8)
                if index in (5, 6, 11):
                    at.peer.sequence += 1
                    at.peer.timestamp += 160
                else:
                    at.peer.send_sound(packet)
            at.peer.press("1")
            await at.until(lambda events: at.keys() == "1")
            stats = await at.leg.close()
            assert stats.packets_received == 17 + 7
            assert stats.packets_lost == 3
            assert stats.packets_sent > 0
            assert stats.first_rtp_at is not None
            assert stats.last_rtp_at is not None
            assert stats.first_rtp_at <= stats.last_rtp_at
            assert stats.as_facts()["packets_lost"] == 3.0

    run(work)


def test_two_legs_against_each_other_measure_the_round_trip_by_rtcp() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=PORTS, workers=2)
        try:
            one, other = await client.open_leg(), await client.open_leg()
            assert len(client.pids) == 2
            one.connect(remote=(other.host, other.port), codec=PCMA, dtmf_payload=101)
            other.connect(remote=(one.host, one.port), codec=PCMA, dtmf_payload=101)
            reports = await client.report()
            # A leg reports after one second and then every five; the second report answers the other side's first.
            while any(report.ticks < 320 for report in reports):
                await one.play([Silence(ms=500)])
                reports = await client.report()
            stats = [await one.close(), await other.close()]
            assert all(each.round_trip_ms is not None and each.round_trip_ms < 1000 for each in stats)
            assert all(each.packets_lost == 0 for each in stats)
        finally:
            await client.close()

    run(work)


@pytest.mark.parametrize("held_at", [("0.0.0.0", 4000), ("127.0.0.1", 0)], ids=["address of zeros", "port 0"])
def test_a_hold_of_the_old_kind_keeps_the_source_and_sends_nothing(held_at: tuple[str, int]) -> None:
    async def work() -> None:
        async with line() as at:
            at.peer.send_sound(b"\xd5" * 160)
            await at.peer.until(lambda heard: len(heard) > 3)
            at.leg.connect(remote=held_at, codec=PCMA, dtmf_payload=101)
            before = (await at.client.report())[0]
            at.peer.press("5")
            await at.until(lambda events: at.keys() == "5")
            assert (await at.client.report())[0].packets_sent == before.packets_sent
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101)
            await at.leg.play([Tone(frequencies=(800.0,), ms=200)])
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == at.peer.address

    run(work)
