"""Any text is taken apart into words and bounded pauses; nothing makes the parser fail."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.speech.script import pieces, write_script
from callwright.speech.ssml import MAX_PAUSE_S, Pause, Words, parse

_PARTS = st.sampled_from(
    [
        *(
            "<speak>",
            "</speak>",
            "<p>",
            "</p>",
            "<s>",
            "</s>",
            "<break/>",
            '<break time="1s"/>',
            '<break time="1e9s"/>',
        ),
        *("<sub>", '<sub alias="x">', "</sub>", '<prosody rate="slow">', "</prosody>", "</say-as>", "<a:b>", "</a:b>"),
        *(
            '<say-as interpret-as="digits">',
            "&",
            "&amp;",
            "&#0;",
            "&#x110000;",
            "<",
            ">",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
        ),
        *(
            "<!DOCTYPE a>",
            "<?xml ?>",
            "<?pi?>",
            "<a b='",
            "hello ",
            "12 ",
            ". ",
            "\n\n",
            '"',
            "'",
            "=",
            "\x00",
            "\ud800",
        ),
    ]
)
_TEXTS = st.one_of(st.lists(_PARTS, max_size=15).map("".join), st.text(max_size=80))


@settings(max_examples=500, deadline=None)
@given(text=_TEXTS)
def test_any_text_becomes_words_and_bounded_pauses(text: str) -> None:
    for item in parse(text).items:
        match item:
            case Pause(seconds=seconds):
                assert 0 < seconds <= MAX_PAUSE_S
            case Words():
                assert 0.5 <= item.rate <= 2
                assert -96 <= item.gain_db <= 12
                item.text.encode()  # no half characters are left


@settings(max_examples=300, deadline=None)
@given(text=_TEXTS, language=st.sampled_from(["en", "es"]))
def test_any_text_becomes_a_script_without_empty_utterances(text: str, language: str) -> None:
    for part in write_script(text, language=language).parts:
        assert isinstance(part, Pause) or part.text == " ".join(part.text.split()) != ""


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="ab .,;!?\n\u2026", max_size=300), longest=st.integers(min_value=1, max_value=60))
def test_pieces_keep_every_letter_in_order_and_fit(text: str, longest: int) -> None:
    cut = pieces(text, longest)
    assert all(0 < len(piece) <= longest for piece in cut)
    assert "".join("".join(cut).split()) == "".join(text.split())
