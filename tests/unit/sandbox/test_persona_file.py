from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from callwright.sandbox.persona import (
    Cue,
    Digest,
    HangUp,
    Listen,
    Persona,
    PlayTone,
    Press,
    Reject,
    Say,
    Wait,
)
from callwright.sandbox.persona_file import PersonaFileError, parse_personas, read_persona_file


def test_every_word_of_the_vocabulary_is_understood() -> None:
    personas = parse_personas(
        dedent(
            """
            personas:
              - number: "0021"
                name: everything
                ring_after: 0.5
                answer_after: 2
                early:
                  - say: One moment.
                script:
                  - say: Hello
                  - press: "12#"
                  - wait: 1.5
                  - tone: {frequencies: [440, 480.5], ms: 300}
                  - listen: prompt
                  - listen: {for: beep_or_prompt, silence: 1.5, timeout: 20}
                  - hang_up
                repeat:
                  - listen: beep
                  - say: Again
                says_keys: true
                patience: 30
                hang_up_after: 60
                on_hold: true
                digest: {user: u, password: p}
            """
        )
    )

    assert personas == (
        Persona(
            number="0021",
            name="everything",
            ring_after_s=0.5,
            final_after_s=2.0,
            early_steps=(Say(text="One moment."),),
            steps=(
                Say(text="Hello"),
                Press(keys="12#"),
                Wait(seconds=1.5),
                PlayTone(frequencies=(440.0, 480.5), ms=300),
                Listen(cue=Cue.PROMPT_END),
                Listen(cue=Cue.BEEP_OR_PROMPT_END, silence_s=1.5, timeout_s=20.0),
                HangUp(),
            ),
            repeat=(Listen(cue=Cue.BEEP), Say(text="Again")),
            says_keys=True,
            patience_s=30.0,
            hang_up_after_s=60.0,
            on_hold=True,
            digest=Digest(user="u", password="p"),
        ),
    )


def test_a_rejecting_persona_has_code_reason_headers_and_moment() -> None:
    (persona,) = parse_personas(
        dedent(
            """
            personas:
              - number: 0022
                ring_after: null
                reject: {code: 503, reason: Try Later, headers: {Retry-After: "30"}, after: 0.5}
            """
        ),
        name="/etc/own.yaml",
    )

    assert persona == Persona(
        number="0022",
        name="from own.yaml",
        ring_after_s=None,
        final_after_s=0.5,
        reject=Reject(code=503, reason="Try Later", headers=(("Retry-After", "30"),)),
    )


def test_full_numbers_may_have_their_plus() -> None:
    (persona,) = parse_personas("personas: [{number: '+999005550001', answer_after: 1}]")

    assert persona.number == "999005550001"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "own.yaml: the file is empty; it must begin with 'personas:'"),
        ("personas: [", "own.yaml line 1: not YAML"),
        ("people: []", "own.yaml line 1: people: the file has no such field; there are personas"),
        ("- 1", "own.yaml line 1: the file: must be fields with values"),
        ("personas: 5", "own.yaml line 1: personas: must be a list"),
        ("personas:\n- name: x", "own.yaml line 2: number: a persona needs this field"),
        ("personas:\n- number: abc", 'own.yaml line 2: number: must be digits, such as "0021", not abc'),
        ("personas:\n- number: 1\n- number: 1", "own.yaml line 3: number: 1 is given twice"),
        ("personas:\n- number: 1\n  anser_after: 2", "own.yaml line 3: anser_after: a persona has no such field"),
        ("personas:\n- number: 1\n  number: 2", "own.yaml line 3: number: is given twice"),
        (
            "personas:\n- number: 1\n  answer_after: soon",
            "own.yaml line 3: answer_after: must be a number of seconds, not 'soon'",
        ),
        ("personas:\n- number: 1\n  answer_after: -1", "from 0 to 86400, not -1"),
        ("personas:\n- number: 1\n  answer_after: .nan", "line 3: answer_after"),
        ("personas:\n- number: 1\n  says_keys: 1", "own.yaml line 3: says_keys: must be true or false, not '1'"),
        ("personas:\n- number: 1\n  script:\n  - sing: x", "own.yaml line 4: sing: there is no such step"),
        ("personas:\n- number: 1\n  script:\n  - {say: x, wait: 1}", "own.yaml line 4: script: a step has one word"),
        ("personas:\n- number: 1\n  script:\n  - press: 1x", "own.yaml line 4: press: must be keys out of 0123456789"),
        (
            "personas:\n- number: 1\n  script:\n  - listen: rain",
            "'rain' is nothing to listen for; there are prompt, beep",
        ),
        (
            "personas:\n- number: 1\n  script:\n  - tone: {ms: 20}",
            "own.yaml line 4: frequencies: tone needs this field",
        ),
        ("personas:\n- number: 1\n  script:\n  - tone: {frequencies: [], ms: 20}", "one to four frequencies"),
        ("personas:\n- number: 1\n  script:\n  - tone: {frequencies: [9], ms: 20}", "from 20 to 3999, not 9"),
        ("personas:\n- number: 1\n  script:\n  - tone: {frequencies: [99], ms: 20.5}", "ms: must be a whole number"),
        ("personas:\n- number: 1\n  repeat:\n  - say: x", "repeat: steps that repeat need a 'listen' or a 'wait'"),
        (
            "personas:\n- number: 1\n  reject: {code: 200}",
            "own.yaml line 3: code: must be a whole number from 300 to 699",
        ),
        ("personas:\n- number: 1\n  reject: {reason: x}", "own.yaml line 3: code: reject needs this field"),
        ("personas:\n- number: 1\n  reject: {code: 486, headers: {a b: c}}", "'a b' is not the name of a SIP header"),
        ("personas:\n- number: 1\n  reject: {code: 486, redirect_to: 1}", "only a code from 300 to 399 redirects"),
        ("personas:\n- number: 1\n  reject: {code: 486}\n  script: []", "rejects calls never answers them"),
        ("personas:\n- number: 1\n  name: [x]", "own.yaml line 3: name: must be one line of text"),
        ('personas:\n- number: 1\n  name: "a\\nb"', "own.yaml line 3: name: must be one line of text"),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_field(text: str, says: str) -> None:
    with pytest.raises(PersonaFileError) as refused:
        parse_personas(text, name="own.yaml")

    assert says in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PersonaFileError, match=r"none\.yaml cannot be read"):
        read_persona_file(tmp_path / "none.yaml")


def test_yaml_that_would_make_python_objects_is_only_text(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("personas:\n- number: 1\n  name: !!python/object/apply:os.getcwd []\n")

    with pytest.raises(PersonaFileError, match="line 3: name"):
        read_persona_file(path)
