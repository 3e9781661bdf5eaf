"""Messages of calls are kept, bounded and masked; a killed node has what was written, a full disk costs no call."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from callwright.trace import recorder, store
from callwright.trace.message import KeptMessage
from callwright.trace.recorder import MessageTrace
from callwright.trace.store import TraceStore, read_call

FAR = ("192.0.2.9", 5060)
EPOCH = 1_700_000_000.0


def run(folder: Path, story: Callable[[MessageTrace], Awaitable[None]], *, most_bytes: int = 10_000_000) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        numbers = itertools.count(1)
        trace = MessageTrace(
            TraceStore(folder, most_bytes=most_bytes, keep_days=7),
            near=("192.0.2.1", 5060),
            clock=lambda: EPOCH + loop.time() - begun,
            new_id=lambda: f"wire{next(numbers)}",
        )
        await story(trace)

    asyncio.run(main())


def sip(wire: str, number: int = 1, *, name: str = "Call-ID", size: int = 0, method: str = "OPTIONS") -> bytes:
    return (
        f"{method} sip:a SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1\r\n{name}: {wire}\r\nCSeq: {number} OPTIONS\r\n\r\n"
    ).encode() + b"v" * size


def numbers_of(messages: list[KeptMessage]) -> list[int]:
    return [int(message.data.split(b"CSeq: ")[1].split(b" ")[0]) for message in messages]


def test_what_belongs_to_a_call_is_kept_under_its_id_whatever_its_call_ids(tmp_path: Path) -> None:
    async def story(trace: MessageTrace) -> None:
        now = asyncio.get_running_loop().time()
        first = trace.begins("c.1.1")
        second = trace.begins("c.1.1", "given")
        other = trace.begins("c.1.2")
        assert (first, second, other) == ("wire1", "given", "wire2")
        trace.saw(">", sip(first, 1), FAR, now)
        trace.saw("<", sip(first, 2, name="i"), FAR, now + 0.25)
        trace.saw("<", sip(second, 3, name="CALL-id "), FAR, now + 0.5)
        trace.saw(">", sip(other, 4), FAR, now)
        trace.saw(">", sip("somebody-else's", 5), FAR, now)
        trace.saw("<", b"\r\n\r\n", FAR, now)
        trace.saw("<", b"Call-ID", FAR, now)
        kept = await trace.read("c.1.1")
        assert numbers_of(kept) == [1, 2, 3]
        assert [message.wire for message in kept] == ["wire1", "wire1", "given"]
        assert [message.sent for message in kept] == [True, False, False]
        assert kept[0].transport == "TLS"
        assert (kept[0].near, kept[0].far) == (("192.0.2.1", 5060), FAR)
        assert kept[1].at - kept[0].at == pytest.approx(0.25)
        assert kept[0].at == pytest.approx(EPOCH, abs=30)
        assert await trace.read("c.1.3") == []
        await trace.close()

    run(tmp_path, story)


def test_a_talkative_call_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    async def story(trace: MessageTrace) -> None:
        now = asyncio.get_running_loop().time()
        wire = trace.begins("c.1.1")
        for number in range(1, 101):
            trace.saw(">", sip(wire, number), FAR, now + number / 1000)
        expected = [*range(1, recorder.FIRST + 1), *range(101 - recorder.LAST, 101)]
        kept = await trace.read("c.1.1")
        assert numbers_of(kept) == expected
        assert trace.begins("c.1.1", wire) == wire, "an INVITE sent elsewhere under the same Call-ID"
        assert numbers_of(await trace.read("c.1.1")) == expected
        assert [message.left_out for message in kept if message.left_out] == [100 - len(expected)]
        assert kept[recorder.FIRST].left_out
        trace.ends("c.1.1")
        await trace.close()
        assert numbers_of(read_call(tmp_path, "c.1.1")) == expected
        assert sum(message.left_out for message in read_call(tmp_path, "c.1.1")) == 100 - len(expected)

    run(tmp_path, story)


def test_of_a_call_to_us_what_was_said_before_it_was_taken_is_kept(tmp_path: Path) -> None:
    async def story(trace: MessageTrace) -> None:
        now = asyncio.get_running_loop().time()
        for number in range(recorder.MOST_EARLY + 1):
            trace.saw("<", sip(f"call{number}", 1, method="INVITE"), FAR, now)
            trace.saw(">", sip(f"call{number}", 2), FAR, now + 0.1)
        trace.saw("<", sip("no call", 1), FAR, now)
        for wire in ("call0", "call1", "no call"):
            trace.begins(f"c.{wire}", wire)
            trace.saw(">", sip(wire, 3), FAR, now + 0.2)
        assert numbers_of(await trace.read("c.call0")) == [3], "forgotten: too many came after it"
        assert numbers_of(await trace.read("c.call1")) == [1, 2, 3]
        assert numbers_of(await trace.read("c.no call")) == [3]
        await trace.close()

    run(tmp_path, story)


def test_long_messages_are_cut_and_counted(tmp_path: Path) -> None:
    async def story(trace: MessageTrace) -> None:
        now = asyncio.get_running_loop().time()
        wire = trace.begins("c.1.1")
        for number in range(1, 21):
            trace.saw("<", sip(wire, number, size=30_000), FAR, now + number / 1000)
        kept = await trace.read("c.1.1")
        assert numbers_of(kept) == [1, 2, 3, 20]
        assert sum(len(message.data) for message in kept) <= recorder.FIRST_BYTES + recorder.LAST_BYTES
        assert {message.length for message in kept} == {30_000 + len(sip(wire)), 30_001 + len(sip(wire))}
        await trace.close()

    run(tmp_path, story)


def test_late_messages_of_a_call_that_is_over_are_kept_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(trace: MessageTrace) -> None:
        now = asyncio.get_running_loop().time()
        monkeypatch.setattr(recorder, "LINGER_S", -1.0)
        trace.begins("c.1.2", "short")
        trace.ends("c.1.2")
        await trace.flush()
        trace.saw("<", sip("short", 2), FAR, now)
        monkeypatch.setattr(recorder, "LINGER_S", 60.0)
        wire = trace.begins("c.1.1")
        trace.ends("c.1.1")
        await trace.flush()
        trace.saw("<", sip(wire, 1), FAR, now)
        assert numbers_of(await trace.read("c.1.1")) == [1]
        assert await trace.read("c.1.2") == []
        await trace.close()

    run(tmp_path, story)


def test_what_a_killed_node_wrote_is_found_with_what_its_next_life_said(tmp_path: Path) -> None:
    async def killed(trace: MessageTrace) -> None:
        trace.begins("c.1.1", "w")
        trace.saw(">", sip("w", 1), FAR, asyncio.get_running_loop().time())
        await trace.flush()

    async def next_life(trace: MessageTrace) -> None:
        trace.takes_up("w", "another")
        now = asyncio.get_running_loop().time()
        trace.saw(">", sip("w", 2), FAR, now + 1)
        trace.saw(">", sip("another", 3), FAR, now + 1)
        assert numbers_of(await trace.read("c.1.1")) == [1, 2]
        await trace.close()

    run(tmp_path, killed)
    [file] = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    with file.open("ab") as torn:
        torn.write(file.read_bytes()[:40])
    run(tmp_path, next_life)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path) -> None:
    kept = [KeptMessage(f"c.1.{n}", f"w{n}", EPOCH + n, True, "UDP", FAR, FAR, sip("w", n), 9) for n in range(3)]
    files = TraceStore(tmp_path, most_bytes=10_000_000, keep_days=7)
    for message in kept:
        files.append([message], now=EPOCH)
    files.close()
    [file] = tmp_path.iterdir()
    whole = bytearray(file.read_bytes())
    whole[-5] ^= 0xFF
    file.write_bytes(whole)
    assert read_call(tmp_path, "c.1.1") == [kept[1]]
    assert read_call(tmp_path, "c.1.2") == []


def test_old_files_and_too_many_are_forgotten(tmp_path: Path) -> None:
    def message(number: int) -> KeptMessage:
        return KeptMessage(f"c.1.{number}", "w", EPOCH, True, "UDP", FAR, FAR, os.urandom(30_000), 30_000)

    files = TraceStore(tmp_path, most_bytes=400_000, keep_days=7)
    for number in range(60):
        files.append([message(number)], now=EPOCH + number)
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 500_000
    assert files.read("c.1.0") == []
    assert len(files.read("c.1.59")) == 1
    for file in tmp_path.iterdir():
        os.utime(file, (EPOCH, EPOCH))
    files.append([message(99)], now=EPOCH + 8 * store.DAY_S)
    assert len(list(tmp_path.iterdir())) == 1
    assert len(files.read("c.1.99")) == 1
    files.close()


def test_a_disk_that_fails_costs_messages_and_nothing_else(tmp_path: Path) -> None:
    async def story(trace: MessageTrace) -> None:
        wire = trace.begins("c.1.1")
        now = asyncio.get_running_loop().time()
        trace.saw(">", sip(wire, 1), FAR, now)
        await trace.flush()
        in_the_way.unlink()
        trace.saw(">", sip(wire, 2), FAR, now)
        assert numbers_of(await trace.read("c.1.1")) == [2]
        await trace.close()

    in_the_way = tmp_path / "trace"
    in_the_way.write_text("no folder")
    run(in_the_way, story)
