"""Which speech engines this machine has, for a node that starts and for ``callwright doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from callwright.speech.hibari_engine import HibariSynthesiser, installed_version
from callwright.speech.programs import EspeakSynthesiser, FliteSynthesiser, find_espeak, find_flite
from callwright.speech.synthesiser import Synthesiser


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """One engine: ``version`` "" when it is missing, what it is good for, and how it is installed."""

    engine: str
    version: str
    speaks: str
    how_to_install: str

    @property
    def installed(self) -> bool:
        """Whether prompts can be spoken by it."""
        return bool(self.version)


async def available_engines(programs_path: str | None = None) -> list[EngineReport]:
    """Report on every engine, installed or not. Runs the programs for their versions, loads no model."""
    flite, espeak = await find_flite(programs_path), await find_espeak(programs_path)
    return [
        EngineReport(
            engine="hibari",
            version=installed_version() or "",
            speaks="English, one female neural voice",
            how_to_install="pip install hibari-tts==0.2.1 (callwright's own requirements bring it)",
        ),
        EngineReport(
            engine="flite",
            version=flite.version if flite else "",
            speaks="English, standard voices",
            how_to_install="apt-get install flite",
        ),
        EngineReport(
            engine="espeak-ng",
            version=espeak.version if espeak else "",
            speaks="about a hundred languages, standard voices",
            how_to_install="apt-get install espeak-ng",
        ),
    ]


async def find_synthesisers(programs_path: str | None = None) -> list[Synthesiser]:
    """Return the engines that are installed, none of them started."""
    found: list[Synthesiser] = []
    if version := installed_version():
        found.append(HibariSynthesiser(version))
    if flite := await find_flite(programs_path):
        found.append(FliteSynthesiser(flite))
    if espeak := await find_espeak(programs_path):
        found.append(EspeakSynthesiser(espeak))
    return found
