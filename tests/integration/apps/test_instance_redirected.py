"""A call that was redirected: its record says where it led, from then on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import select
from tests.support.instances import Scene, play_out

from callwright.apps.events import EventKind
from callwright.records.tables import cdrs
from callwright.testing.web_application import say
from callwright.values.destination import Destination
from callwright.values.ids import AccountId


def test_where_a_call_was_redirected_to_is_in_its_record(tmp_path: Path) -> None:
    async def story(here: Scene) -> None:
        async def anywhere(account: AccountId, dialled: Destination, to: Destination) -> str:
            return ""

        here.web.page("/first", say("Welcome."))
        here.around = replace(here.around, may_follow=anywhere)
        order = here.order("999005550014")
        await here.run(order)
        assert here.told(EventKind.ANSWERED)
        detail = await here.around.database.read(
            lambda c: c.scalar(select(cdrs.c.detail).where(cdrs.c.call_id == order.call_id))
        )
        assert detail == "redirected to sip:999005550001@fake"

    play_out(tmp_path, story)
