"""What an action may use: the call, the keys typed ahead, sounds, and ways to tell what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from callwright.accounts.service import Page
from callwright.apps.events import EventKind, Journal
from callwright.apps.rest.document import ActionResult
from callwright.apps.rest.log import Level
from callwright.apps.rest.media_store import MediaStore
from callwright.apps.rest.play_list import DigitsMedia, FileMedia, Media, PageMedia, PlayList, TextMedia
from callwright.apps.rest.problem import Problem, ProblemKind
from callwright.apps.rest.typed_keys import TypedKeys
from callwright.apps.rest.until import Until
from callwright.apps.rest.webhook import PageSession
from callwright.engine.interface import (
    Call,
    CallEnded,
    Keys,
    MediaUnavailable,
    Recorded,
    RecordingOrder,
    Sound,
    SoundFile,
)
from callwright.speech import Speech
from callwright.speech.synthesiser import TextTooLong
from callwright.values.errors import OutsideError
from callwright.values.outcome import Outcome

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """How an action ended: with a page to ask for, perhaps a result to tell it, or a wish to hang up."""

    page: Page | None = None
    result: ActionResult | None = None
    hang_up: bool = False


DONE = Next()


@dataclass(slots=True)
class SpokenSeconds:
    """How much speech an instance had spoken to it, by the class of the configured voice. A text counts in full when
    it begins to be played.
    """

    standard: float = 0.0
    neural: float = 0.0

    def add(self, seconds: float, *, neural: bool) -> None:
        if neural:
            self.neural += seconds
        else:
            self.standard += seconds


@dataclass(slots=True, kw_only=True)
class Stage:
    """What one instance gives its actions. ``notify`` tells a page something in the background."""

    call: Call
    instance_id: str
    speech: Speech
    voice: str
    media: MediaStore
    session: PageSession
    resolve: Callable[[Page], Page]
    notify: Callable[[Page, ActionResult], None]
    journal: Journal
    clock: Callable[[], float]
    spoken: SpokenSeconds
    keys: TypedKeys = field(init=False)
    _end: asyncio.Task[Outcome] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.keys = TypedKeys(self.call.keys)

    async def while_up(self, doing: Awaitable[T]) -> T:
        """Wait for something only as long as the call is up; raise ``CallEnded`` when it ends first."""
        if self._end is None:  # it lives until the call is over
            self._end = asyncio.create_task(self.call.wait_ended(), name="end of the call")
        try:
            with Until(self._end):
                result = await doing
        except Exception:
            if self._end.done():
                raise CallEnded(self._end.result()) from None
            raise
        if self._end.done():
            raise CallEnded(self._end.result())
        return result

    async def play(self, play_list: PlayList) -> None:
        """Play a list to its end or, if it allows that, to the next key, which stays waiting."""
        self.keys.hold_waiting()  # a key pressed from now on barges in, also while sounds are still being made
        sounds = [await self._sound(one) for one in play_list.media]
        self.journal.tell(EventKind.PROMPT, play_list.shown)
        try:
            if play_list.barge_in:
                await self._play_until_key(sounds)
            else:
                await self.call.play(sounds)
        except MediaUnavailable as error:
            raise Problem(ProblemKind.MEDIA_NOT_AVAILABLE, _without_paths(error, play_list, sounds)) from error

    async def new_recording(self) -> tuple[str, str]:
        """Return the name in the media store and the path of a recording that begins now."""
        return await self.media.new_recording(self.clock(), self.instance_id)

    async def record(self, order: RecordingOrder) -> Recorded:
        try:
            return await self.call.record(order)
        except MediaUnavailable as error:
            raise Problem(ProblemKind.MEDIA_NOT_AVAILABLE, "the recording cannot be written") from error

    def note(self, text: str, level: Level = Level.INFO) -> None:
        """Write a line to the log of the instance."""
        self.journal.log.line(level, text)

    def chose(self, digit: str) -> None:
        """Tell that an action took a key."""
        self.journal.tell(EventKind.DIGIT, digit)

    def recorded(self, name: str, recorded: Recorded) -> None:
        """Tell that a recording is there."""
        self.journal.tell(EventKind.RECORDING, f"{name} {recorded.path}", seconds=recorded.duration_s)

    async def _play_until_key(self, sounds: list[Sound]) -> None:
        key = asyncio.create_task(self.keys.another(), name="key that barges in")
        try:
            with Until(key):
                await self.call.play(sounds)
            if key.done():
                key.result()
        finally:
            key.cancel()
            if key.done() and not key.cancelled():
                key.exception()  # read here: that the call ended is said by the play as well

    async def _sound(self, media: Media) -> Sound:
        match media:
            case TextMedia():
                return await self.while_up(self._speak(media))
            case FileMedia(name=name):
                if not await self.media.has(name):
                    raise Problem(ProblemKind.MEDIA_NOT_AVAILABLE, f"there is no file '{name}' in the media store")
                return SoundFile(path=str(self.media.path(name)))
            case PageMedia(page=page):
                return SoundFile(path=await self.while_up(self._fetch(page)))
            case DigitsMedia(digits=digits):
                return Keys(digits=digits)

    async def _speak(self, media: TextMedia) -> Sound:
        try:
            rendered = await self.speech.render(
                media.text, selector=media.voice or None, default_selector=self.voice, private=media.is_private
            )
        except TextTooLong as error:
            raise Problem(ProblemKind.INVALID_ACTION, str(error)) from error
        except OutsideError as error:
            raise Problem(ProblemKind.MEDIA_NOT_AVAILABLE, f"the text cannot be spoken: {error}") from error
        for warning in rendered.warnings:
            self.note(warning, Level.WARNING)
        self.spoken.add(rendered.duration_s, neural=rendered.neural)
        return SoundFile(path=str(rendered.path))

    async def _fetch(self, page: Page) -> str:
        try:
            return await self.session.fetch_sound(self.resolve(page).url)
        except Problem as problem:
            raise Problem(ProblemKind.MEDIA_NOT_AVAILABLE, *problem.details) from problem


def _without_paths(error: MediaUnavailable, play_list: PlayList, sounds: list[Sound]) -> str:
    """Return what is wrong with a sound, by the name its page gave it: a customer does not know our folders."""
    detail = str(error)
    for media, sound in zip(play_list.media, sounds, strict=True):
        if isinstance(sound, SoundFile):
            detail = detail.replace(sound.path, media.shown)
    return detail
