from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.stages import PROMPT_S, Acting, act, read_fields

from callwright.accounts.service import Page
from callwright.apps.events import EventKind
from callwright.apps.rest.actions.run_menu import ON_INVALID, ON_TIMEOUT, MenuResult, RunMenu
from callwright.apps.rest.document import ActionResult
from callwright.apps.rest.stage import DONE, Next
from callwright.engine.interface import CallEnded


def says(*texts: str) -> list[dict[str, object]]:
    return [{"play": {"play_list": [{"text_to_say": text}]}} for text in texts]


def menu(**properties: Any) -> RunMenu:
    given = {
        "menu_options": [{"digit": "1", "next_page": {"url": "one"}}, {"digit": "2", "next_page": {"url": "two"}}],
        "prompt": says("Choose")[0],
        "on_digit_timeout_messages": says("Late", "Later"),
        "on_invalid_digit_messages": says("Wrong", "Wronger"),
    }
    fields, findings = read_fields(given | properties)
    action = RunMenu.read(fields)
    fields.finish()
    assert findings.problems == []
    return action


def chosen(digit: str, url: str) -> Next:
    return Next(page=Page(url=url), result=ActionResult(action="run_menu", result=MenuResult(digit=digit)))


def test_key_of_an_option_asks_for_its_page() -> None:
    async def story(here: Acting) -> None:
        here.at(5.0, lambda: here.call.press("2"))
        assert await menu().run(here.stage) == chosen("2", "two")
        assert here.heard() == ["Choose"]
        assert here.told(EventKind.DIGIT) == ["2"]

    act(story)


def test_key_during_the_prompt_stops_it_and_counts() -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, lambda: here.call.press("1"))
        assert await menu().run(here.stage) == chosen("1", "one")
        assert here.now() == 1.0
        assert here.heard() == ["Choose…"]

    act(story)


def test_key_typed_before_the_menu_is_taken_without_the_prompt() -> None:
    async def story(here: Acting) -> None:
        here.call.press("912")
        assert await menu().run(here.stage) == chosen("1", "one")
        assert here.heard() == []
        assert here.stage.keys.take_waiting() == "2"

    act(story)


def test_keys_typed_before_that_are_no_option_are_dropped_and_the_prompt_is_played() -> None:
    async def story(here: Acting) -> None:
        here.call.press("99")
        here.at(4.0, lambda: here.call.press("1"))
        assert await menu().run(here.stage) == chosen("1", "one")
        assert here.heard() == ["Choose"]

    act(story)


def test_each_time_out_plays_the_next_message_and_the_one_after_the_last_ends_the_action() -> None:
    async def story(here: Acting) -> None:
        assert await menu(seconds_digit_timeout=4).run(here.stage) == DONE
        assert here.heard() == ["Choose", "Late", "Later"]
        assert here.now() == 3 * PROMPT_S + 3 * 4.0

    act(story)


def test_each_wrong_key_plays_the_next_message_and_the_one_after_the_last_ends_the_action() -> None:
    async def story(here: Acting) -> None:
        for at in (4.0, 8.0, 12.0):
            here.at(at, lambda: here.call.press("7"))
        assert await menu().run(here.stage) == DONE
        assert here.heard() == ["Choose", "Wrong", "Wronger"]
        assert here.now() == 12.0

    act(story)


def test_option_after_a_time_out_and_a_wrong_key_still_counts() -> None:
    async def story(here: Acting) -> None:
        here.at(12.0, lambda: here.call.press("7"))
        here.at(16.0, lambda: here.call.press("2"))
        assert await menu().run(here.stage) == chosen("2", "two")
        assert here.heard() == ["Choose", "Late", "Wrong"]

    act(story)


def test_key_during_a_message_does_not_stop_it_and_counts_afterwards() -> None:
    async def story(here: Acting) -> None:
        here.at(9.0, lambda: here.call.press("2"))
        assert await menu().run(here.stage) == chosen("2", "two")
        assert here.heard() == ["Choose", "Late"]
        assert here.now() == 2 * PROMPT_S + 5.0

    act(story)


def test_help_digit_repeats_the_prompt_and_costs_no_message() -> None:
    async def story(here: Acting) -> None:
        for at in (4.0, 8.0, 12.0):
            here.at(at, lambda: here.call.press("*"))
        here.at(16.0, lambda: here.call.press("1"))
        assert await menu().run(here.stage) == chosen("1", "one")
        assert here.heard() == ["Choose"] * 4

    act(story)


def test_without_help_digit_the_star_is_a_wrong_key() -> None:
    async def story(here: Acting) -> None:
        here.at(4.0, lambda: here.call.press("*"))
        assert await menu(help_digit="", on_invalid_digit_messages=[]).run(here.stage) == DONE
        assert here.heard() == ["Choose"]

    act(story)


def test_without_prompt_the_time_starts_at_once() -> None:
    async def story(here: Acting) -> None:
        action = menu(prompt=None, on_digit_timeout_messages=[], seconds_digit_timeout=2)
        assert await action.run(here.stage) == DONE
        assert here.now() == 2.0

    act(story)


def test_hang_up_in_the_middle_ends_the_menu() -> None:
    async def story(here: Acting) -> None:
        here.at(4.0, here.call.far_end_hangs_up)
        with pytest.raises(CallEnded):
            await menu().run(here.stage)
        assert here.now() == 4.0

    act(story)


def test_cancellation_while_waiting_for_a_key_ends_the_menu() -> None:
    async def story(here: Acting) -> None:
        running = asyncio.create_task(menu().run(here.stage))
        here.at(4.0, running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert here.now() == 4.0

    act(story)


def test_defaults_are_those_of_the_reference() -> None:
    fields, findings = read_fields({"menu_options": [{"digit": "#", "next_page": {"url": "x", "method": "GET"}}]})
    action = RunMenu.read(fields)
    assert findings.problems == []
    assert action == RunMenu(options={"#": Page(url="x", method="GET")})
    assert (action.help_digit, action.digit_timeout_s) == ("*", 5)
    assert (len(ON_TIMEOUT), len(ON_INVALID)) == (2, 2)
    assert not any(message.barge_in for message in ON_TIMEOUT + ON_INVALID)


def test_log_says_why_a_menu_chose_nothing() -> None:
    async def story(here: Acting) -> None:
        here.call.press("9")
        here.at(PROMPT_S + 1.0, lambda: here.call.press("8"))
        action = menu(on_digit_timeout_messages=[], seconds_digit_timeout=5)
        assert await action.run(here.stage) == DONE
        assert [line for line in here.log.lines if "key" in line or "choice" in line] == [
            "INFO key 9, typed ahead, is no option of the menu and is dropped",
            "INFO key 8 is no option of the menu",
            "INFO no key within 5 s",
            "INFO the menu ends without a choice",
        ]

    act(story)
