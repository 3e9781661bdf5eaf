"""The action ``run_menu``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from callwright.accounts.service import Page
from callwright.apps.rest.document import ActionResult
from callwright.apps.rest.fields import Fields
from callwright.apps.rest.play_list import PlayList, read_messages, read_nested_play, said
from callwright.apps.rest.stage import DONE, Next, Stage

HELP_DIGIT = "*"
DIGIT_TIMEOUT_S = 5
MAX_TIMEOUT_S = 3600

ON_TIMEOUT = said(
    "No key has arrived yet.",
    "Please make your choice now by pressing a key on your telephone.",
)
ON_INVALID = said(
    "That key is not one of the choices.",
    "Please press only one of the keys that were named.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuResult:
    """``action_result.result`` of a menu."""

    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMenu:
    """Let the far end choose by one key; the chosen option's page is asked for.

    Keys typed before the menu are tried first: the first that is an option is taken, without the prompt. A time-out
    or a wrong key plays the next message of its kind and waits again; when there is none left, the action ends without
    a result and the next action runs. The help digit plays the prompt again and costs no message.
    """

    name: ClassVar[str] = "run_menu"
    options: dict[str, Page]
    prompt: PlayList | None = None
    help_digit: str = HELP_DIGIT
    digit_timeout_s: int = DIGIT_TIMEOUT_S
    on_timeout: tuple[PlayList, ...] = ON_TIMEOUT
    on_invalid: tuple[PlayList, ...] = ON_INVALID

    @classmethod
    def read(cls, fields: Fields, /) -> Self:
        return cls(
            options=_read_options(fields),
            prompt=read_nested_play(fields, "prompt"),
            help_digit=fields.one_digit("help_digit", default=HELP_DIGIT),
            digit_timeout_s=fields.integer(
                "seconds_digit_timeout", default=DIGIT_TIMEOUT_S, minimum=0, maximum=MAX_TIMEOUT_S
            ),
            on_timeout=read_messages(fields, "on_digit_timeout_messages", ON_TIMEOUT),
            on_invalid=read_messages(fields, "on_invalid_digit_messages", ON_INVALID),
        )

    async def run(self, stage: Stage) -> Next:
        digit = self._typed_ahead(stage) or await self._ask(stage)
        if digit is None:
            stage.note("the menu ends without a choice")
            return DONE
        stage.chose(digit)
        return Next(page=self.options[digit], result=ActionResult(action=self.name, result=MenuResult(digit=digit)))

    def _typed_ahead(self, stage: Stage) -> str | None:
        while key := stage.keys.take_waiting():
            if key in self.options:
                return key
            stage.note(f"key {key}, typed ahead, is no option of the menu and is dropped")
        return None

    async def _ask(self, stage: Stage) -> str | None:
        timeout_messages, invalid_messages = iter(self.on_timeout), iter(self.on_invalid)
        await self._play_prompt(stage)
        while True:
            key = await stage.keys.next(self.digit_timeout_s)
            if key is not None and key in self.options:
                return key
            if key is not None and key == self.help_digit:
                await self._play_prompt(stage)
                continue
            stage.note(
                f"no key within {self.digit_timeout_s} s" if key is None else f"key {key} is no option of the menu"
            )
            if not await _play_next(stage, timeout_messages if key is None else invalid_messages):
                return None

    async def _play_prompt(self, stage: Stage) -> None:
        if self.prompt is not None:
            await stage.play(self.prompt)


async def _play_next(stage: Stage, messages: Iterator[PlayList]) -> bool:
    """Play the next message; False when none is left."""
    message = next(messages, None)
    if message is None:
        return False
    await stage.play(message)
    return True


def _read_options(fields: Fields) -> dict[str, Page]:
    options: dict[str, Page] = {}
    listed = fields.objects("menu_options", required=True)
    if listed is not None and not listed:
        fields.problem("menu_options", "is empty")
    for option in listed or []:
        digit, page = option.one_digit("digit"), option.required_page("next_page")
        option.finish()
        if digit in options:
            option.problem("digit", f"'{digit}' is used by another option")
        options[digit] = page
    return options
