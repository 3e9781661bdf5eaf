"""A play list and its media: what ``play``, prompts and messages are made of (docs/reference/rest-applications.md)."""

from __future__ import annotations

from dataclasses import dataclass

from callwright.accounts.service import Page
from callwright.apps.rest.fields import Fields, read_page
from callwright.apps.rest.media_names import media_name_fault
from callwright.apps.rest.pages import shown_url

MAX_TEXT_CHARS = 3000
PRIVATE = "[private]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMedia:
    """Text to say, with an SSML subset; ``voice`` "" is the service's. Private text is never logged."""

    text: str
    voice: str = ""
    is_private: bool = False

    @property
    def shown(self) -> str:
        return f"text {PRIVATE if self.is_private else repr(self.text)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMedia:
    """A sound in the account's media file store."""

    name: str

    @property
    def shown(self) -> str:
        return f"file {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMedia:
    """A sound that a page of the application delivers."""

    page: Page

    @property
    def shown(self) -> str:
        return f"sound {shown_url(self.page.url)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsMedia:
    """Digits to send as DTMF."""

    digits: str

    @property
    def shown(self) -> str:
        return f"digits {self.digits}"


Media = TextMedia | FileMedia | PageMedia | DigitsMedia


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayList:
    """Media played one after the other; with ``barge_in`` a key stops the whole list."""

    media: tuple[Media, ...]
    barge_in: bool = True

    @property
    def shown(self) -> str:
        return ", ".join(one.shown for one in self.media)


def read_play_list(fields: Fields, *, barge_in: bool = True) -> PlayList:
    """Read the properties of a play action; ``barge_in`` is what holds when it does not say."""
    stops = fields.boolean("barge_in_on_digit", default=barge_in)
    fields.boolean("barge_in_on_speech", default=False)
    fields.ignored("barge_in_on_speech_options")
    if fields.value("barge_in_on_speech") is True:
        fields.warning("barge_in_on_speech", "is not available in this version and is ignored")
    listed = fields.objects("play_list", required=True)
    if listed is not None and not listed:
        fields.problem("play_list", "is empty")
    return PlayList(media=tuple(_read_media(one) for one in listed or []), barge_in=stops)


def read_nested_play(parent: Fields, name: str) -> PlayList | None:
    """Read a property that holds ``{"play": {…}}``, None when it is not given."""
    holder = parent.nested(name)
    return None if holder is None else _read_held(holder, barge_in=True)


def read_messages(parent: Fields, name: str, default: tuple[PlayList, ...]) -> tuple[PlayList, ...]:
    """Read an array of ``{"play": {…}}``; keys do not stop messages unless they say so."""
    holders = parent.objects(name, required=False)
    return default if holders is None else tuple(_read_held(holder, barge_in=False) for holder in holders)


def said(*texts: str) -> tuple[PlayList, ...]:
    """Return messages that say these sentences."""
    return tuple(PlayList(media=(TextMedia(text=text),), barge_in=False) for text in texts)


def _read_held(holder: Fields, *, barge_in: bool) -> PlayList:
    play = holder.nested("play")
    holder.finish()
    if play is None:
        if holder.is_object:
            holder.problem("play", "is missing")
        return PlayList(media=())
    play_list = read_play_list(play, barge_in=barge_in)
    play.finish()
    return play_list


_KINDS = (("text_to_say",), ("file_to_play",), ("digits_to_play", "digits"))


def _read_media(fields: Fields) -> Media:
    given = [names for names in _KINDS if fields.has(*names)]
    media: Media = DigitsMedia(digits="")
    if len(given) != 1:
        if fields.is_object:
            fields.problem("", "must have exactly one of text_to_say, file_to_play, digits_to_play")
            for names in (*_KINDS, ("tts_voice", "text_is_private", "decryption_cipher")):
                for name in names:
                    fields.value(name)
    elif fields.has("text_to_say"):
        media = TextMedia(
            text=fields.text("text_to_say", max_chars=MAX_TEXT_CHARS),
            voice=fields.text("tts_voice", default=""),
            is_private=fields.boolean("text_is_private", default=False),
        )
    elif fields.has("file_to_play"):
        fields.not_available("decryption_cipher")
        media = _read_file(fields)
    else:
        media = DigitsMedia(digits=fields.digits("digits_to_play", "digits"))
    fields.finish()
    return media


def _read_file(fields: Fields) -> FileMedia | PageMedia:
    file = fields.string_or_object("file_to_play")
    if isinstance(file, Fields):
        if file.value("method") not in (None, "GET"):
            file.problem("method", "must be GET: this page delivers media")
        return PageMedia(page=Page(url=read_page(file).url, method="GET"))
    fault = media_name_fault(file)
    if fault:
        fields.problem("file_to_play", fault)
    return FileMedia(name=file)
