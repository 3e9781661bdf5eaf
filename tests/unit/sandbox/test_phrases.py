from __future__ import annotations

from callwright.sandbox.persona import Cue, Listen, Persona, Say
from callwright.sandbox.personas import BUILT_IN, DIGIT_WORDS, HELLO
from callwright.sandbox.phrases import Phrase, file_name, wanted


def test_a_file_name_is_the_first_words_and_a_hash() -> None:
    assert file_name("Hello, World!") == "hello-world-dffd6021.wav"
    assert len(file_name("word " * 100)) <= 40 + 1 + 8 + 4


def test_texts_with_the_same_beginning_have_names_of_their_own() -> None:
    assert file_name("a" * 60 + "b") != file_name("a" * 60 + "c")


def test_a_text_without_letters_has_a_name_too() -> None:
    assert file_name("¿?").startswith("phrase-")


def test_everything_the_built_in_personas_say_is_wanted_once() -> None:
    texts = [phrase.text for phrase in wanted()]

    assert len(set(texts)) == len(texts)
    assert HELLO in texts
    assert set(DIGIT_WORDS.values()) <= set(texts)


def test_phrases_of_own_personas_are_found_in_all_their_steps() -> None:
    own = Persona(
        number="1",
        name="own",
        early_steps=(Say(text="early"),),
        steps=(Say(text="then"), Listen(cue=Cue.BEEP), Say(text="then")),
        repeat=(Say(text="ever"), Listen(cue=Cue.BEEP)),
    )

    assert wanted([own]) == [Phrase(text=text, file_name=file_name(text)) for text in ("early", "then", "ever")]
    assert len(wanted([*BUILT_IN, own])) == len(wanted()) + 3
