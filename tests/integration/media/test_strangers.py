"""Strangers who send fitting sound to a leg's port: the far end takes its place back as soon as it speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.audio import find_tone, level_at, read_wav, sine
from tests.support.media_line import Line, line, run
from tests.support.rtp_peer import RtpPeer

from callwright.engine.interface import Silence
from callwright.media.codec import PCMA

QUIET = b"\xd5" * 160
LONG_MS = 20_000


@asynccontextmanager
async def speaking(at: Line, peer: RtpPeer, hertz: int) -> AsyncIterator[None]:
    peer.target = (at.leg.host, at.leg.port)
    task = asyncio.create_task(peer.speak(sine(hertz, LONG_MS)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def peer_at(host: str) -> AsyncIterator[RtpPeer]:
    peer = await RtpPeer.open(8, host=host)
    peer.ssrc += int(host.rpartition(".")[2])  # each its own stream
    try:
        yield peer
    finally:
        peer.close()


async def until_it_gets_everything(at: Line, peer: RtpPeer) -> None:
    """Wait until twenty packets in a row went to this far end alone."""

    def in_a_row() -> bool:
        last = [packet.sequence for packet in peer.heard[-20:]]
        return len(last) == 20 and (last[-1] - last[0]) & 0xFFFF == 19

    await peer.until(lambda heard: in_a_row())


def test_a_stranger_who_speaks_first_loses_the_call_to_the_negotiated_address(tmp_path: Path) -> None:
    async def work() -> None:
        async with line() as at, peer_at("127.0.0.2") as stranger, speaking(at, stranger, 1800):
            await stranger.until(lambda heard: len(heard) > 20)
            before = len(at.peer.heard)
            async with speaking(at, at.peer, 600):
                await at.peer.until(lambda heard: len(heard) > before)
                await until_it_gets_everything(at, at.peer)
                told = len(stranger.heard)
                await at.leg.record(str(tmp_path / "said.wav"), max_duration_s=1, max_silence_s=5)
                assert len(stranger.heard) == told
            sound = read_wav(tmp_path / "said.wav")
            assert find_tone(sound, 600) is not None
            assert level_at(sound, 1800) < -50
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == at.peer.address

    run(work)


def test_three_packets_of_a_stranger_do_not_keep_the_far_end_out() -> None:
    async def work() -> None:
        async with line() as at, peer_at("127.0.0.2") as stranger:
            stranger.target = (at.leg.host, at.leg.port)
            for _ in range(3):
                stranger.send_sound(QUIET)
            await stranger.until(lambda heard: len(heard) > 0)
            at.peer.send_sound(QUIET)
            await until_it_gets_everything(at, at.peer)
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == at.peer.address
            assert stats.packets_received == 2

    run(work)


def test_a_far_end_behind_a_nat_takes_its_place_from_a_stranger_by_the_host_its_sip_comes_from() -> None:
    async def work() -> None:
        async with (
            line(connect=False) as at,
            peer_at("127.0.0.2") as stranger,
            peer_at("127.0.0.3") as behind_nat,
            speaking(at, stranger, 1800),
        ):
            at.leg.signalled_by = "127.0.0.3"
            at.leg.connect(remote=("127.0.0.9", 9), codec=PCMA, dtmf_payload=101)
            await stranger.until(lambda heard: len(heard) > 20)
            async with speaking(at, behind_nat, 600):
                await until_it_gets_everything(at, behind_nat)
                stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == behind_nat.address

    run(work)


def test_a_far_end_behind_a_nat_is_heard_at_once_and_stays_the_far_end() -> None:
    async def work() -> None:
        async with line() as at, peer_at("127.0.0.2") as behind_nat, peer_at("127.0.0.3") as stranger:
            async with speaking(at, behind_nat, 600):
                await behind_nat.until(lambda heard: len(heard) > 3)
                async with speaking(at, stranger, 1800):
                    # Twice somebody better is looked for meanwhile.
                    await behind_nat.until(lambda heard: len(heard) > 120)
            assert not stranger.heard
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == behind_nat.address
            assert stats.packets_lost == 0

    run(work)


def test_at_the_answer_the_negotiated_address_is_heard_at_once_though_somebody_else_gave_early_sound() -> None:
    async def work() -> None:
        async with line() as at, peer_at("127.0.0.2") as announcement:
            async with speaking(at, announcement, 1800):
                await announcement.until(lambda heard: len(heard) > 20)
            at.leg.connect(remote=at.peer.address, codec=PCMA, dtmf_payload=101)
            await at.leg.play([Silence(ms=20)])
            at.peer.send_sound(QUIET)
            await at.leg.play([Silence(ms=40)])
            stats = await at.leg.close()
            assert (stats.remote_host, stats.remote_port) == at.peer.address

    run(work)
