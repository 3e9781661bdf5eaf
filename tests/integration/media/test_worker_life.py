"""Media workers that die, nodes that die, ports that run out: nothing is left behind and nothing hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.audio import find_tone, read_wav, sine
from tests.support.rtp_peer import RtpPeer

from callwright.engine.interface import Silence, SoundFile, Tone
from callwright.engine.media_client import Leg, MediaClient, MediaError, MediaLost
from callwright.media.codec import PCMA

DEADLINE_S = 30.0


async def until_gone(pid: int) -> None:
    """Wait until a process that is not our child any more, or never was, has ended."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, ended.set)
    try:
        async with asyncio.timeout(DEADLINE_S):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_killed_worker_loses_its_legs_and_is_replaced() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(24000, 24399))
        lost: list[list[Leg]] = []
        told = asyncio.Event()

        def on_worker_lost(legs: list[Leg]) -> None:
            lost.append(legs)
            told.set()

        client.on_worker_lost = on_worker_lost
        leg = await client.open_leg()
        leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
        playing = asyncio.create_task(leg.play([Tone(frequencies=(400.0,), ms=60_000)]))
        recording = asyncio.create_task(leg.record("/dev/null", max_duration_s=60, max_silence_s=60))
        first = client.pids[0]
        await client.report()
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            await told.wait()
            with pytest.raises(MediaLost):
                await playing
            with pytest.raises(MediaLost):
                await recording
            assert lost == [[leg]]
            with pytest.raises(MediaLost):
                await leg.play([Silence(ms=20)])
            assert (await leg.close()).packets_sent == 0
            another = await client.open_leg()
            another.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
            await another.play([Silence(ms=100)])
        second = client.pids[0]
        assert second != first
        await client.close()
        assert not is_running(first)
        assert not is_running(second)

    asyncio.run(work())


def test_a_worker_that_hangs_is_killed_and_replaced() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(25800, 25899), hung_after_s=1)
        leg = await client.open_leg()
        leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
        playing = asyncio.create_task(leg.play([Tone(frequencies=(400.0,), ms=60_000)]))
        await client.report()
        hung = client.pids[0]
        os.kill(hung, signal.SIGSTOP)
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(MediaLost):
                await playing
            another = await client.open_leg()
            another.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
            await another.play([Silence(ms=100)])
        assert client.pids != [hung]
        assert not is_running(hung)
        await client.close()

    asyncio.run(work())


def test_of_two_workers_one_may_die_and_the_calls_of_the_other_go_on() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(25200, 25599), workers=2)
        lost: list[Leg] = []
        client.on_worker_lost = lost.extend
        pids = client.pids
        legs = [await client.open_leg() for _ in range(6)]
        playing = {}
        for leg in legs:
            leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=101)
            playing[leg] = asyncio.create_task(leg.play([Silence(ms=800)]))
        assert [report.legs for report in await client.report()] == [3, 3]
        os.kill(pids[0], signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            ended = await asyncio.gather(*playing.values(), return_exceptions=True)
            gone = [leg for leg, end in zip(playing, ended, strict=True) if isinstance(end, MediaLost)]
            assert len(gone) == 3
            assert lost == gone
            for leg in legs:
                assert ((await leg.close()).packets_sent > 30) == (leg not in gone)
            await until_gone(pids[0])
            while len(await client.report()) < 2:
                continue
            again = [await client.open_leg() for _ in range(4)]
            assert [report.legs for report in await client.report()] == [2, 2]
            assert len({leg.port for leg in again}) == 4
        assert pids[1] in client.pids
        await client.close()

    asyncio.run(work())


def test_closing_the_client_ends_its_workers_with_their_recordings_complete(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"

    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(24400, 24799), workers=2)
        pids = client.pids
        peer = await RtpPeer.open()
        leg = await client.open_leg()
        peer.target = (leg.host, leg.port)
        leg.connect(remote=peer.address, codec=PCMA, dtmf_payload=101)
        recording = asyncio.create_task(leg.record(str(path), max_duration_s=60, max_silence_s=60))
        await peer.speak(sine(700, 500))
        await client.close()
        peer.close()
        assert not any(is_running(pid) for pid in pids)
        with pytest.raises(MediaError):
            await recording
        with pytest.raises(MediaError, match="closed"):
            await client.open_leg()

    asyncio.run(work())
    tone = find_tone(read_wav(path), 700)
    assert tone is not None
    assert tone.ms == pytest.approx(430, abs=75)  # at most the 500 that were said


NODE = """
import asyncio, sys
from callwright.engine.media_client import MediaClient
from callwright.media.codec import PCMA

async def main():
    client = await MediaClient.start(host="127.0.0.1", port_range=(24800, 25199))
    leg = await client.open_leg()
    leg.connect(remote=("127.0.0.1", int(sys.argv[1])), codec=PCMA, dtmf_payload=101)
    recording = asyncio.create_task(leg.record(sys.argv[2], max_duration_s=60, max_silence_s=60))
    print(client.pids[0], leg.port, flush=True)
    await recording

asyncio.run(main())
"""


def test_a_worker_whose_node_was_killed_completes_its_files_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"

    async def work() -> None:
        peer = await RtpPeer.open()
        node = await asyncio.create_subprocess_exec(
            sys.executable, "-c", NODE, str(peer.address[1]), str(path), stdout=subprocess.PIPE
        )
        assert node.stdout is not None
        worker, port = map(int, (await node.stdout.readline()).split())
        peer.target = ("127.0.0.1", port)
        await peer.speak(sine(700, 500))
        assert is_running(worker)
        node.kill()
        await node.communicate()
        await until_gone(worker)
        peer.close()

    asyncio.run(work())
    tone = find_tone(read_wav(path), 700)
    assert tone is not None
    assert tone.ms == pytest.approx(430, abs=75)  # at most the 500 that were said


def test_a_worker_outlives_the_signals_its_node_handles() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(25200, 25299))
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(client.pids[0], number)
        leg = await client.open_leg()
        leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=None)
        await leg.play([Silence(ms=60)])
        await client.close()

    asyncio.run(work())


def test_cancelling_the_start_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        started: list[asyncio.subprocess.Process] = []
        spawned = asyncio.Event()
        create = asyncio.create_subprocess_exec

        async def noted(*arguments: str, **options: object) -> asyncio.subprocess.Process:
            process = await create(*arguments, **options)  # type: ignore[arg-type]
            started.append(process)
            spawned.set()
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        starting = asyncio.create_task(MediaClient.start(host="127.0.0.1", port_range=(25300, 25399)))
        async with asyncio.timeout(DEADLINE_S):
            await spawned.wait()
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            await until_gone(started[0].pid)
            await started[0].wait()

    asyncio.run(work())


def test_a_worker_that_cannot_start_is_reported_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def work() -> None:
        with pytest.raises(MediaError, match="did not start"):
            await MediaClient.start(host="127.0.0.1", port_range=(25400, 25499))

    asyncio.run(work())


def test_too_few_ports_are_said_to_be_too_few() -> None:
    async def work() -> None:
        with pytest.raises(MediaError, match="too few"):
            await MediaClient.start(host="127.0.0.1", port_range=(25400, 25402), workers=2)

    asyncio.run(work())


def test_ports_are_even_bounded_and_not_used_again_at_once() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(25501, 25506))
        one, other = await client.open_leg(), await client.open_leg()
        assert {one.port, other.port} == {25502, 25504}
        with pytest.raises(MediaError, match="already has 2 legs"):
            await client.open_leg()
        await one.close()
        with pytest.raises(MediaError, match="in use or resting"):
            await client.open_leg()
        await client.close()

    asyncio.run(work())


def test_a_port_that_another_program_holds_is_passed_over() -> None:
    async def work() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 25601))
            client = await MediaClient.start(host="127.0.0.1", port_range=(25600, 25605))
            leg = await client.open_leg()
            assert leg.port == 25602
            await client.close()

    asyncio.run(work())


def test_a_leg_that_is_closed_takes_no_more_orders() -> None:
    async def work() -> None:
        client = await MediaClient.start(host="127.0.0.1", port_range=(25700, 25799))
        leg = await client.open_leg()
        leg.connect(remote=("127.0.0.1", 9), codec=PCMA, dtmf_payload=None)
        playing = asyncio.create_task(leg.play([Tone(frequencies=(400.0,), ms=60_000)]))
        await client.report()
        stats = await leg.close()
        assert (await playing).reason == "closed"
        assert await leg.close() == stats
        with pytest.raises(MediaError, match="closed already"):
            await leg.play([SoundFile(path="x.wav")])
        assert (await client.report())[0].legs == 0
        await client.close()

    asyncio.run(work())
