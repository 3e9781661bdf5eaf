"""An engine dies with a telephone off the hook; the next one on the same port puts it back."""

from __future__ import annotations

import asyncio
import secrets
import time
from functools import partial

import structlog.testing
from tests.support.engine_calls import Told, order_to
from tests.support.real_engine import HOST, RTP_PORTS
from tests.support.sipp import SippResult, answering, needs_sipp

from callwright.engine.engine import CallEngine
from callwright.engine.media_client import MediaClient
from callwright.engine.routes import Routes
from callwright.engine.sip_socket import SipSocket
from callwright.sip.core import SipCore

pytestmark = needs_sipp


async def new_life(media: MediaClient, port: int) -> tuple[CallEngine, SipSocket]:
    sip = await SipSocket.open(
        host=HOST,
        port=port,
        core_factory=lambda host, port: SipCore(
            contact_host=host, contact_port=port, new_id=partial(secrets.token_hex, 16)
        ),
    )
    engine = CallEngine(
        sip=sip, media=media, routes=Routes(), sip_domain="x.test", clock=time.time, on_progress=lambda progress: None
    )
    return engine, sip


async def die_and_live_again(*, recorded: bool) -> SippResult:
    """Be killed while the answer is being recorded, or after it; a second engine takes the port over."""
    media = await MediaClient.start(host=HOST, port_range=RTP_PORTS)
    try:
        with answering("answer") as far:
            engine, sip = await new_life(media, 0)
            answered = asyncio.Event()

            async def record() -> None:
                answered.set()
                if not recorded:
                    await asyncio.Event().wait()

            told = Told(on_answer=record)
            placing = asyncio.create_task(
                engine.place(
                    order_to((far.host, far.port)), before_invite=told.before_invite, on_answered=told.on_answered
                )
            )
            await (placing if recorded else answered.wait())
            await sip.close()  # not a word to the far end, as when the process is killed
            engine, sip = await new_life(media, sip.address[1])
            if recorded:
                await engine.hang_up_saved(told.saved)
            seen = await asyncio.to_thread(far.finish)
            placing.cancel()
            await engine.close()
            await sip.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                if task is placing or task.get_name().startswith("duration limit"):
                    task.cancel()
            return seen
    finally:
        await media.close()


def test_call_whose_answer_was_never_recorded_is_hung_up_when_the_far_end_repeats_it() -> None:
    with structlog.testing.capture_logs() as logs:
        seen = asyncio.run(die_and_live_again(recorded=False))
    assert seen.all_succeeded, seen.why
    assert [gist for gist in seen.gists if gist[0] == ">"] == ["> INVITE", "> ACK", "> BYE"]
    assert "stray_answer" in [entry["action"] for entry in logs]


def test_call_whose_answer_was_recorded_is_hung_up_by_its_saved_dialog() -> None:
    seen = asyncio.run(die_and_live_again(recorded=True))
    assert seen.all_succeeded, seen.why
    assert [gist for gist in seen.gists if gist[0] == ">"] == ["> INVITE", "> ACK", "> BYE"]
