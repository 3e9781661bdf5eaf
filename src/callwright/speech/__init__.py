"""Text-to-speech: voices, engines, and a cache of rendered prompts (docs/reference/speech.md)."""

from callwright.speech.cache import CacheUnusable
from callwright.speech.engines import EngineReport, available_engines
from callwright.speech.speech import Rendered, Speech
from callwright.speech.synthesiser import SynthesisFailed, TextTooLong
from callwright.speech.voices import BUILT_IN_SELECTOR, NoVoice

__all__ = [
    "BUILT_IN_SELECTOR",
    "CacheUnusable",
    "EngineReport",
    "NoVoice",
    "Rendered",
    "Speech",
    "SynthesisFailed",
    "TextTooLong",
    "available_engines",
]
