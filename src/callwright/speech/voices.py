"""Voices: what a selector asks for, and which installed voice speaks it (docs/reference/speech.md, "Voices").

A selector is "language region gender engine name", such as ``English US Female Polly Kimberly``. Engines and names that
are not ours are accepted: they decide whether the voice is billed as standard or neural, and our own voice of the same
language, gender and region speaks. The class never depends on what is installed; the engine that really spoke is told
by the voice that was chosen. Pure: what is installed is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from callwright.values.errors import OutsideError

BUILT_IN_SELECTOR = "English US Female Hibari Heart"
"""What speaks when neither the page, the service nor the node names a voice: always there, it comes in a wheel."""

INSTALL_HINT = (
    "install the Python package hibari-tts, or the programs flite or espeak-ng (apt-get install flite espeak-ng)"
)


class NoVoice(OutsideError):
    """No speech engine is installed on this node; the text says how to install one."""


class Gender(StrEnum):
    """How a voice sounds."""

    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A selector taken apart. ``language`` is an ISO 639 code, "" when it is not a language we know; ``region`` a
    country code or ""; ``neural`` the class the voice is billed as.
    """

    text: str
    language: str
    region: str = ""
    gender: Gender | None = None
    engine: str = ""
    name: str = ""
    neural: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One voice of one engine. ``name`` is what the engine calls it."""

    engine: str
    name: str
    language: str
    region: str
    gender: Gender


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who speaks: ``voices`` best first (later ones stand in when an engine fails), ``neural`` the class of the
    configured voice, ``warnings`` sentences for the log, without any spoken text.
    """

    selector: Selector
    voices: tuple[Voice, ...]
    neural: bool
    warnings: tuple[str, ...] = ()


# Names people and the original platform use, with the code of the language. Two-word names are tried first.
_LANGUAGES = {
    "afrikaans": "af", "albanian": "sq", "arabic": "ar", "armenian": "hy", "basque": "eu", "bengali": "bn",
    "bosnian": "bs", "bulgarian": "bg", "cantonese": "yue", "catalan": "ca", "chinese": "zh", "croatian": "hr",
    "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "esperanto": "eo", "estonian": "et", "farsi": "fa",
    "finnish": "fi", "french": "fr", "gaelic": "gd", "georgian": "ka", "german": "de", "greek": "el",
    "gujarati": "gu", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "icelandic": "is", "indonesian": "id",
    "irish": "ga", "italian": "it", "japanese": "ja", "kannada": "kn", "kazakh": "kk", "korean": "ko",
    "latin": "la", "latvian": "lv", "lithuanian": "lt", "macedonian": "mk", "malay": "ms", "malayalam": "ml",
    "mandarin": "zh", "marathi": "mr", "nepali": "ne", "norwegian": "nb", "persian": "fa", "polish": "pl",
    "portuguese": "pt", "punjabi": "pa", "romanian": "ro", "russian": "ru", "serbian": "sr", "slovak": "sk",
    "slovenian": "sl", "spanish": "es", "swahili": "sw", "swedish": "sv", "tamil": "ta", "telugu": "te",
    "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi", "welsh": "cy",
}  # fmt: skip

_REGIONS = {
    "us": "US", "usa": "US", "american": "US", "uk": "GB", "gb": "GB", "british": "GB", "england": "GB",
    "scottish": "GB-SCT", "scotland": "GB-SCT", "welsh": "GB", "wales": "GB", "irish": "IE", "ireland": "IE",
    "australian": "AU", "australia": "AU", "au": "AU", "indian": "IN", "india": "IN", "in": "IN",
    "new zealand": "NZ", "nz": "NZ", "south african": "ZA", "south africa": "ZA", "za": "ZA",
    "canadian": "CA", "canada": "CA", "ca": "CA", "caribbean": "029",
    "castilian": "ES", "spain": "ES", "european": "EU", "mexican": "MX", "mexico": "MX", "mx": "MX",
    "latin american": "419", "brazilian": "BR", "brazil": "BR", "br": "BR", "portugal": "PT", "france": "FR",
    "belgian": "BE", "belgium": "BE", "swiss": "CH", "switzerland": "CH", "austrian": "AT", "austria": "AT",
    "germany": "DE", "gulf": "AE", "mandarin": "CN", "cantonese": "HK", "china": "CN", "taiwan": "TW",
}  # fmt: skip

# Voices of Amazon Polly that exist as neural voices only: naming one is naming a neural voice.
_POLLY_NEURAL_ONLY = frozenset(
    "adriano aria arlet arthur ayanda burcu daniel danielle elin gregory hala hannah hiujin ida isabelle jasmine jitka "
    "kajal kazuha kevin laura liam lisa niamh ola olivia pedro remi ruth sabrina sergio sofie stephen suvi thiago "
    "tomoko zayd".split()
)
_OUR_NEURAL_ENGINES = frozenset(("hibari",))

_F, _M = Gender.FEMALE, Gender.MALE
_RECORDED_VOICES = (
    Voice(engine="hibari", name="heart", language="en", region="US", gender=_F),
    # Of flite's American men this one was understood best on a telephone line.
    Voice(engine="flite", name="rms", language="en", region="US", gender=_M),
    Voice(engine="flite", name="slt", language="en", region="US", gender=_F),
    Voice(engine="flite", name="awb", language="en", region="GB-SCT", gender=_M),
    Voice(engine="flite", name="kal16", language="en", region="US", gender=_M),
)

# espeak-ng calls most languages by their code; these differ by name or by region.
_ESPEAK_NAMES = {
    "en": "en-us", "en-US": "en-us", "en-GB": "en-gb", "en-GB-SCT": "en-gb-scotland", "en-IE": "en-gb",
    "en-AU": "en-gb", "en-IN": "en-gb", "en-NZ": "en-gb", "en-ZA": "en-gb", "en-029": "en-029", "es-MX": "es-419",
    "es-US": "es-419", "es-419": "es-419", "fr": "fr-fr", "fr-BE": "fr-be", "fr-CH": "fr-ch", "pt-BR": "pt-br",
    "zh": "cmn", "zh-HK": "yue", "vi": "vi",
}  # fmt: skip

# How good an engine's voices are to listen to, best first, for each class of voice asked for.
_RANK = {True: ("hibari", "flite", "espeak-ng"), False: ("flite", "hibari", "espeak-ng")}


def parse_selector(text: str) -> Selector:
    """Take a selector apart; never fails: words it does not know are left out, an unknown language is ""."""
    # What is shown of a selector in the log is a short line, whatever a page sends.
    text = "".join(char for char in " ".join(text.split()) if char.isprintable())[:100]
    words = text.split()
    lowered = [word.lower() for word in words]
    language = _LANGUAGES.get(lowered[0], "") if lowered else ""
    at_gender = next((index for index, word in enumerate(lowered) if word in ("female", "male")), None)
    head = lowered[1:at_gender]
    region = _REGIONS.get(" ".join(head), "") or next((_REGIONS[word] for word in head if word in _REGIONS), "")
    if language == "zh" and region == "HK":
        language, region = "yue", ""
    tail = [word for word in words[at_gender + 1 :] if word.lower() != "neural"] if at_gender is not None else []
    engine, name = (tail[0].lower() if tail else ""), " ".join(tail[1:])
    engine = {"espeak": "espeak-ng"}.get(engine, engine)
    return Selector(
        text=text,
        language=language,
        region=region,
        gender=None if at_gender is None else Gender(lowered[at_gender]),
        engine=engine,
        name=name,
        neural="neural" in lowered
        or engine in _OUR_NEURAL_ENGINES
        or (engine == "polly" and name.lower() in _POLLY_NEURAL_ONLY),
    )


def resolve(selector: str | None, default: str, installed: Iterable[str]) -> Choice:
    """Choose who speaks. ``selector`` is the page's (None or "" when it names none), ``default`` the service's,
    ``installed`` the names of the engines that can be used now.

    Raises ``NoVoice`` when nothing is installed.
    """
    engines = frozenset(installed)
    if not engines:
        raise NoVoice(f"This node has no speech engine: {INSTALL_HINT}.")
    warnings: list[str] = []
    wanted = parse_selector((selector or "").strip() or default.strip() or BUILT_IN_SELECTOR)
    if not wanted.language and wanted.text != BUILT_IN_SELECTOR:
        fallback = parse_selector(default.strip() or BUILT_IN_SELECTOR)
        if not fallback.language:
            fallback = parse_selector(BUILT_IN_SELECTOR)
        warnings.append(f'The voice "{wanted.text}" names no language we know: "{fallback.text}" speaks instead.')
        wanted = fallback
    voices = _candidates(wanted, engines)
    if voices[0].language != wanted.language:
        warnings.append(
            f'No installed engine speaks the language of the voice "{wanted.text}": {voices[0].engine} reads it as '
            "English. Install espeak-ng."
        )
    elif wanted.gender and voices[0].gender is not wanted.gender:
        warnings.append(
            f'No {wanted.gender} voice is installed for "{wanted.text}": {voices[0].engine} {voices[0].name} speaks.'
        )
    return Choice(selector=wanted, voices=voices, neural=wanted.neural, warnings=tuple(warnings))


def _candidates(wanted: Selector, engines: frozenset[str]) -> tuple[Voice, ...]:
    voices = [voice for voice in _RECORDED_VOICES if voice.engine in engines]
    if "espeak-ng" in engines:
        voices += [_espeak(wanted, gender) for gender in ((wanted.gender,) if wanted.gender else (_M, _F))]
    rank = _RANK[wanted.neural]

    def fitness(voice: Voice) -> tuple[bool, bool, bool, bool, int, bool]:
        own = voice.engine == wanted.engine
        return (
            voice.language != wanted.language,
            not (own and voice.name == wanted.name.lower()),
            not own,
            wanted.gender is not None and voice.gender is not wanted.gender,
            rank.index(voice.engine),
            bool(wanted.region) and voice.region != wanted.region,
        )

    # Last come voices of another language: they at least say something, silence on a call helps nobody.
    return tuple(sorted(voices, key=fitness))


def _espeak(wanted: Selector, gender: Gender) -> Voice:
    full = f"{wanted.language}-{wanted.region}" if wanted.region else wanted.language
    base = _ESPEAK_NAMES.get(full) or _ESPEAK_NAMES.get(wanted.language) or wanted.language
    name = f"{base}+f3" if gender is Gender.FEMALE else base
    return Voice(engine="espeak-ng", name=name, language=wanted.language, region=wanted.region, gender=gender)
