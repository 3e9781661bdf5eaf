from __future__ import annotations

import json

import pytest

from callwright.apps.rest.masking import masked_body


def masked(value: object) -> object:
    return json.loads(masked_body(json.dumps(value).encode()))


def test_private_text_is_masked_and_other_text_is_not() -> None:
    media = [{"text_to_say": "4711", "text_is_private": True}, {"text_to_say": "Hello", "text_is_private": False}]
    assert masked({"play_list": media}) == {
        "play_list": [{"text_to_say": "[private]", "text_is_private": True}, media[1]],
    }


def test_tokens_keys_and_passwords_are_masked_wherever_they_are() -> None:
    cipher = {"type": "aescbc", "key": "00 11", "initialisation_vector": "22"}
    assert masked({"token": "t", "a": [{"decryption_cipher": cipher}]}) == {
        "token": "[private]",
        "a": [{"decryption_cipher": {"type": "aescbc", "key": "[private]", "initialisation_vector": "[private]"}}],
    }
    assert masked({"token": None}) == {"token": None}


def test_user_information_is_taken_out_of_urls() -> None:
    assert masked({"url": "https://u:p@host/x"}) == {"url": "https://host/x"}


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_nothing_is_shown_as_empty(body: bytes) -> None:
    assert masked_body(body) == "(empty)"


def test_beginning_of_something_else_is_shown() -> None:
    assert masked_body(b"<html>" + b"x" * 2000).startswith("(not JSON, 2006 bytes) <html>xxx")
    assert len(masked_body(b"<html>" + b"x" * 2000)) < 600


def test_broken_json_that_may_hold_secrets_is_not_shown() -> None:
    shown = masked_body(b'{"text_is_private": true, "text_to_say": "4711",')
    assert "4711" not in shown
    assert "not shown" in shown


@pytest.mark.parametrize("said", ["true", 1, "yes", [], {}])
def test_text_whose_privacy_is_said_in_a_wrong_way_is_masked_all_the_same(said: object) -> None:
    assert "4711" not in masked_body(json.dumps({"text_to_say": "4711", "text_is_private": said}).encode())


def test_body_of_countless_parts_is_not_taken_apart() -> None:
    assert masked_body(b"[" + b"{}," * 30_000 + b"{}]") == "(90004 bytes of too many objects, not shown)"
