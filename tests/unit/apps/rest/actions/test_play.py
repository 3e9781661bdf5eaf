from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.stages import PROMPT_S, Acting, act, read_fields

from callwright.apps.events import EventKind
from callwright.apps.rest.actions.play import Play
from callwright.apps.rest.problem import Problem
from callwright.apps.rest.stage import DONE
from callwright.engine.interface import CallEnded
from callwright.speech import SynthesisFailed, TextTooLong


def play(*media: dict[str, object], **properties: object) -> Play:
    fields, findings = read_fields({"play_list": list(media), **properties})
    action = Play.read(fields)
    fields.finish()
    assert findings.problems == []
    return action


def text(words: str, **properties: object) -> dict[str, object]:
    return {"text_to_say": words, **properties}


def test_media_are_played_in_order_to_their_end(tmp_path: Path) -> None:
    (tmp_path / "menus").mkdir()
    (tmp_path / "menus" / "intro.wav").touch()

    async def story(here: Acting) -> None:
        action = play(
            text("Hello"),
            {"file_to_play": "/menus/intro.wav"},
            {"digits_to_play": "12#"},
            {"file_to_play": {"url": "http://example/bell.wav"}},
        )
        assert await action.run(here.stage) == DONE
        assert here.heard() == ["Hello", "intro", "12#", "bell"]

    act(story, folder=tmp_path)


def test_key_skips_all_that_is_left_and_waits_for_the_next_action() -> None:
    async def story(here: Acting) -> None:
        here.at(4.0, lambda: here.call.press("5"))
        await play(text("One"), text("Two"), text("Three")).run(here.stage)
        assert here.now() == 4.0
        assert here.heard() == ["One", "Two…"]
        assert here.stage.keys.take_waiting() == "5"

    act(story)


def test_key_that_barged_in_on_one_play_does_not_skip_the_next() -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, lambda: here.call.press("5"))
        await play(text("One")).run(here.stage)
        await play(text("Two")).run(here.stage)
        assert here.heard() == ["One…", "Two"]
        assert here.stage.keys.take_waiting() == "5"

    act(story)


def test_second_key_skips_the_second_play_and_both_keys_are_kept_in_order() -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, lambda: here.call.press("5"))
        here.at(2.0, lambda: here.call.press("6"))
        await play(text("One")).run(here.stage)
        await play(text("Two")).run(here.stage)
        assert here.heard() == ["One…", "Two…"]
        assert [here.stage.keys.take_waiting() for _ in range(3)] == ["5", "6", ""]

    act(story)


def test_without_barge_in_a_key_changes_nothing_and_is_kept() -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, lambda: here.call.press("5"))
        await play(text("One"), barge_in_on_digit=False).run(here.stage)
        assert here.heard() == ["One"]
        assert here.stage.keys.take_waiting() == "5"

    act(story)


def test_hang_up_in_the_middle_ends_the_play() -> None:
    async def story(here: Acting) -> None:
        here.at(1.0, here.call.far_end_hangs_up)
        with pytest.raises(CallEnded):
            await play(text("One"), text("Two")).run(here.stage)
        assert here.heard() == ["One…"]

    act(story)


def test_cancellation_stops_the_sound_at_once() -> None:
    async def story(here: Acting) -> None:
        running = asyncio.create_task(play(text("One"), text("Two")).run(here.stage))
        here.at(1.0, running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert here.now() == 1.0
        assert here.heard() == ["One…"]
        assert here.call.is_up

    act(story)


def test_voice_of_the_media_wins_over_the_voice_of_the_service_and_seconds_count_by_class() -> None:
    async def story(here: Acting) -> None:
        await play(text("One"), text("Two", tts_voice="Neural One"), text("Three")).run(here.stage)
        assert here.speech.asked == [
            ("One", None, "English", False),
            ("Two", "Neural One", "English", False),
            ("Three", None, "English", False),
        ]
        assert (here.stage.spoken.standard, here.stage.spoken.neural) == (2 * PROMPT_S, PROMPT_S)

    act(story, voice="English")


def test_private_text_is_spoken_but_told_to_nobody() -> None:
    async def story(here: Acting) -> None:
        await play(text("4711", text_is_private=True)).run(here.stage)
        assert here.speech.asked[0] == ("4711", None, "", True)
        assert here.told(EventKind.PROMPT) == ["text [private]"]
        assert not any("4711" in line for line in here.log.lines)

    act(story)


@pytest.mark.parametrize(
    ("media", "problem"),
    [
        ({"file_to_play": "gone.wav"}, "media not available: there is no file 'gone.wav' in the media store"),
        (
            {"file_to_play": {"url": "http://example/broken.wav"}},
            "media not available: GET http://example/broken.wav: status 404",
        ),
    ],
)
def test_media_that_cannot_be_had_are_a_problem_before_anything_is_heard(
    tmp_path: Path, media: dict[str, object], problem: str
) -> None:
    async def story(here: Acting) -> None:
        with pytest.raises(Problem) as raised:
            await play(text("One"), media).run(here.stage)
        assert raised.value.text == problem
        assert here.heard() == []

    act(story, folder=tmp_path)


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (SynthesisFailed("no engine could speak it"), "media not available: the text cannot be spoken: no engine"),
        (TextTooLong("the text is too long"), "invalid action: the text is too long"),
    ],
)
def test_speech_that_fails_is_a_problem(failure: Exception, problem: str) -> None:
    async def story(here: Acting) -> None:
        here.speech.failure = failure
        with pytest.raises(Problem) as raised:
            await play(text("One")).run(here.stage)
        assert raised.value.text.startswith(problem)

    act(story)


def test_key_pressed_while_the_sounds_are_made_skips_the_play() -> None:
    async def story(here: Acting) -> None:
        here.speech.takes_s = 2.0
        here.at(1.0, lambda: here.call.press("5"))
        await play(text("One"), text("Two")).run(here.stage)
        assert [one for one in here.heard() if not one.endswith("…")] == []
        assert here.now() <= 2 * here.speech.takes_s
        assert here.stage.keys.take_waiting() == "5"

    act(story)


def test_sound_of_a_page_that_is_none_is_named_by_its_url_and_not_by_our_copy() -> None:
    async def story(here: Acting) -> None:
        with pytest.raises(Problem) as caught:
            await play({"file_to_play": {"url": "http://u:secret@host/unreadable.wav"}}).run(here.stage)
        assert "sound http://host/unreadable.wav" in caught.value.text
        assert "/cache/" not in caught.value.text
        assert "secret" not in caught.value.text

    act(story)


def test_warnings_of_the_speech_are_in_the_log_of_the_instance() -> None:
    async def story(here: Acting) -> None:
        here.speech.warnings = ("The SSML was spoken as plain text, because it is broken.",)
        await play(text("<speak>Hello")).run(here.stage)
        assert "WARNING The SSML was spoken as plain text, because it is broken." in here.log.lines

    act(story)
