"""What a far end lets be heard before it answers: it passes through to whoever listens, and to nobody else.

There are two media workers: a call of its own would get a leg on the other one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from tests.support.audio import Pcm, find_tone, level_at, sine
from tests.support.engine_calls import Air, Told, on_the_air, order_to
from tests.support.far_end import FarEnd, far_end, sdp
from tests.support.rtp_peer import RtpPeer

from callwright.engine.call import OutgoingCall
from callwright.engine.interface import CallFacts, CallFailed, Tone
from callwright.sip.agenda import Timers
from callwright.sip.event import Acked, Invited
from callwright.values.ids import CallId
from callwright.values.outcome import EndedBy

QUICK = Timers(t1=0.05, t2=0.2, t4=0.2)  # 3.2 s for a CANCEL that nobody answers
EARLY, OTHER, OWN = 600.0, 900.0, 1500.0
LATEST = 800  # samples: a tenth of a second


@pytest.fixture(scope="module")
def air() -> Iterator[Air]:
    with on_the_air(media_workers=2, timers=QUICK) as opened:
        yield opened


class Listening:
    """A call that is up, and the ear at its far end."""

    def __init__(self, air: Air, call: OutgoingCall, ear: RtpPeer) -> None:
        self.call = call
        self.ear = ear
        self._air = air
        self._speaking: list[asyncio.Task[None]] = []

    def calls(self, far: FarEnd, facts: CallFacts | None = None) -> asyncio.Task[OutgoingCall]:
        """Place a call that this one hears."""
        order = msgspec.structs.replace(order_to(far.address), heard_by=self.call.call_id)
        told = Told()
        placing = self._air.real.engine.place(
            order, before_invite=told.before_invite, on_answered=told.on_answered, facts=facts
        )
        return asyncio.create_task(placing)

    def speaks(self, peer: RtpPeer, at: tuple[str, int], frequency: float) -> asyncio.Task[None]:
        """Let somebody send a tone to an address until this is over."""
        peer.target = at
        self._speaking.append(asyncio.create_task(peer.speak(sine(frequency, 15_000))))
        return self._speaking[-1]

    async def hears(self, frequency: float) -> None:
        """Wait until a tone, and nothing else, is heard now."""
        await self.ear.until(lambda heard: is_heard(self.ear.sound()[-LATEST:], frequency))

    async def goes_on(self, packets: int) -> Pcm:
        """Wait for so many more packets and return their sound."""
        before = len(self.ear.heard)
        await self.ear.until(lambda heard: len(heard) >= before + packets)
        return self.ear.sound()[before * 160 :]

    async def hears_nothing_more(self) -> None:
        """The far end hears silence and can be spoken to: the call is as it was."""
        await self.ear.until(lambda heard: level_at(self.ear.sound()[-LATEST:], EARLY) < -60)
        assert level_at(await self.goes_on(15), EARLY) < -60
        await self.call.play([Tone(frequencies=(700.0,), ms=200)])
        await self.ear.until(lambda heard: find_tone(self.ear.sound(), 700.0) is not None)

    async def over(self) -> None:
        for task in self._speaking:
            task.cancel()
        await asyncio.gather(*self._speaking, return_exceptions=True)
        await self.call.hang_up()


@asynccontextmanager
async def listening(air: Air) -> AsyncIterator[Listening]:
    async with far_end() as far:
        placing = asyncio.create_task(air.place(order_to(far.address)))
        await far.answer()
        await far.rtp.until(lambda heard: len(heard) > 0)
        listens = Listening(air, await placing, far.rtp)
        try:
            yield listens
        finally:
            await listens.over()


def is_heard(pcm: Pcm, frequency: float) -> bool:
    others = {EARLY, OTHER, OWN} - {frequency}
    return level_at(pcm, frequency) > -13 and all(level_at(pcm, other) < -40 for other in others)


def lacking_ms(pcm: Pcm, frequency: float) -> int:
    """For how long a tone is not there."""
    return sum(10 for at in range(0, len(pcm), 80) if level_at(pcm[at : at + 80], frequency) < -20)


def our_address(invited: Invited) -> tuple[str, int]:
    """Where the session description of an INVITE wants sound."""
    (line,) = [line for line in invited.body.decode().splitlines() if line.startswith("m=audio ")]
    return "127.0.0.1", int(line.split()[1])


async def progress(far: FarEnd, *, reliable: bool = False) -> Invited:
    """Take a call and let early sound be expected."""
    invited = await far.ear.next(Invited)
    far.sip.core.respond(invited.handle, 183, body=sdp(far.rtp.address), reliable=reliable, now=far.now)
    far.sip.pump()
    return invited


@pytest.mark.parametrize("reliable", [False, True], ids=["unreliable", "reliable"])
def test_early_sound_is_heard_and_goes_on_without_a_gap_when_the_answer_says_nothing_new(
    air: Air, reliable: bool
) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far:
            facts = CallFacts(call_id=CallId("early"), destination=order_to(far.address).destination)
            placing = listens.calls(far, facts)
            invited = await progress(far, reliable=reliable)
            listens.speaks(far.rtp, our_address(invited), EARLY)
            listens.speaks(listens.ear, listens.ear.heard[0].source, OWN)
            far.rtp.press("5")
            await listens.hears(EARLY)
            begun, stuttered_ms = len(listens.ear.heard), far.rtp.stuttered_ms
            await listens.goes_on(10)
            # A stream of sound is no answer, and nobody who has not answered hears who listens.
            assert (facts.answered_at, facts.codec, placing.done(), far.rtp.heard) == (None, "", False, [])
            far.respond(invited, 200)
            call = await placing
            await far.ear.next(Acked)
            await listens.goes_on(40)
            stuttered_ms = far.rtp.stuttered_ms - stuttered_ms
            assert lacking_ms(listens.ear.sound()[begun * 160 :], EARLY) <= 20 + stuttered_ms
            assert facts.codec == "PCMA"
            await far.rtp.until(lambda heard: is_heard(far.rtp.sound()[-LATEST:], OWN))
            far.rtp.press("6")
            assert await call.keys.next(5.0) == "6"
            assert call.keys.peek() == ""
            await call.hang_up()
            await listens.hears_nothing_more()

    air.run(story())


def test_an_answer_from_elsewhere_is_heard_instead_of_what_came_before(air: Air) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far, far_end() as elsewhere:
            placing = listens.calls(far)
            invited = await progress(far)
            listens.speaks(far.rtp, our_address(invited), EARLY)
            await listens.hears(EARLY)
            listens.speaks(elsewhere.rtp, our_address(invited), OTHER)
            assert not is_heard(await listens.goes_on(10), OTHER)
            far.respond(invited, 200, sdp(elsewhere.rtp.address))
            call = await placing
            await listens.hears(OTHER)
            assert is_heard(await listens.goes_on(30), OTHER)
            await call.hang_up()

    air.run(story())


def test_of_two_telephones_the_one_that_began_last_is_heard_until_the_other_answers(air: Air) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far, far_end() as second:
            placing = listens.calls(far)
            invited = await progress(far)
            respond = far.sip.core.respond
            listens.speaks(far.rtp, our_address(invited), EARLY)
            await listens.hears(EARLY)
            listens.speaks(second.rtp, our_address(invited), OTHER)
            respond(invited.handle, 183, body=sdp(second.rtp.address), to_tag="second", now=far.now)
            respond(invited.handle, 183, body=sdp(far.rtp.address), now=far.now)
            far.sip.pump()
            await listens.hears(OTHER)
            far.respond(invited, 200)
            call = await placing
            await listens.hears(EARLY)
            assert is_heard(await listens.goes_on(30), EARLY)
            await call.hang_up()

    air.run(story())


def test_without_early_sound_both_hear_each_other_from_the_answer_on(air: Air) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far:
            placing = listens.calls(far)
            invited = await far.answer()
            call = await placing
            listens.speaks(far.rtp, our_address(invited), OTHER)
            listens.speaks(listens.ear, listens.ear.heard[0].source, OWN)
            await listens.hears(OTHER)
            await far.rtp.until(lambda heard: is_heard(far.rtp.sound()[-LATEST:], OWN))
            await call.hang_up()

    air.run(story())


def test_where_a_call_goes_on_to_is_heard_after_the_place_it_went_from(air: Air) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far, far_end() as second:
            placing = listens.calls(far)
            invited = await progress(far)
            listens.speaks(far.rtp, our_address(invited), EARLY)
            await listens.hears(EARLY)
            far.respond(invited, 302, headers=(("Contact", "sip:2000@{}:{}".format(*second.address)),))
            invited = await second.ear.next(Invited)
            await listens.hears_nothing_more()
            second.respond(invited, 183, sdp(second.rtp.address))
            listens.speaks(second.rtp, our_address(invited), OTHER)
            await listens.hears(OTHER)
            second.respond(invited, 200)
            call = await placing
            assert is_heard(await listens.goes_on(30), OTHER)
            await call.hang_up()

    air.run(story())


def test_a_refusal_after_an_announcement_leaves_the_listening_call_as_it_was(air: Air) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far:
            placing = listens.calls(far)
            invited = await progress(far)
            listens.speaks(far.rtp, our_address(invited), EARLY)
            await listens.hears(EARLY)
            far.respond(invited, 486)
            with pytest.raises(CallFailed) as failed:
                await placing
            assert failed.value.outcome.hangup_cause == "BUSY(486)"
            assert failed.value.facts.answered_at is None
            assert listens.call.is_up
            await listens.hears_nothing_more()

    air.run(story())


def test_a_call_given_up_is_not_heard_while_its_far_end_goes_on_speaking(air: Air) -> None:
    async def story() -> None:
        async with listening(air) as listens, far_end() as far:
            placing = listens.calls(far)
            invited = await progress(far)
            speaking = listens.speaks(far.rtp, our_address(invited), EARLY)
            await listens.hears(EARLY)
            far.go_deaf()
            placing.cancel()
            await listens.hears_nothing_more()
            assert not placing.done()
            assert not speaking.done()
            await asyncio.wait({placing})

    air.run(story())


def test_early_sound_of_a_call_nobody_listens_to_is_no_answer_and_its_keys_are_not_told(air: Air) -> None:
    async def story() -> None:
        async with far_end() as far:
            placing = asyncio.create_task(air.place(order_to(far.address)))
            invited = await progress(far)
            far.rtp.target = our_address(invited)
            far.rtp.press("5")
            await far.rtp.speak(sine(EARLY, 800))
            assert not placing.done()
            far.respond(invited, 200)
            call = await placing
            far.rtp.press("6")
            assert await call.keys.next(5.0) == "6"
            await call.hang_up()

    air.run(story())


def test_a_call_that_is_not_there_does_not_hinder_the_one_it_was_to_hear(air: Air) -> None:
    async def story() -> None:
        async with far_end() as far:
            order = msgspec.structs.replace(order_to(far.address), heard_by=CallId("gone"))
            placing = asyncio.create_task(air.place(order))
            await progress(far)
            placing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await placing
            far_again = asyncio.create_task(air.place(order))
            await far.answer()
            call = await far_again
            await call.hang_up()
            assert call.facts.outcome is not None
            assert call.facts.outcome.ended_by is EndedBy.APPLICATION

    air.run(story())
