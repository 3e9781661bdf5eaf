from __future__ import annotations

import json

import pytest

from callwright.apps.rest.document import CallInfo, CallState, instance_info
from callwright.apps.rest.masking import masked_body, masked_info


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


@pytest.mark.parametrize("secret", ["token", "password", "key", "initialisation_vector"])
def test_name_of_a_secret_may_be_written_with_escapes(secret: str) -> None:
    escaped = f"\\u{ord(secret[0]):04x}{secret[1:]}"
    assert (
        masked_body(f'{{ "{escaped}" : "s3cret", "actions":[] }}'.encode())
        == f'{{"{secret}":"[private]","actions":[]}}'
    )


def test_answer_without_secrets_is_shown_on_one_line() -> None:
    assert (
        masked_body(b'{\n "actions": [ {"hang_up": {}} ],\n "token": null }')
        == '{"actions":[{"hang_up":{}}],"token":null}'
    )


def info(token: str | None, parameters: str = "") -> bytes:
    call = CallInfo(
        call_id="c",
        call_from="sip:a@b",
        call_to="1",
        duration_s=0.5,
        state=CallState.IDLE,
        application_parameters=parameters,
        outbound_parameters="",
    )
    return instance_info(instance_id="i", token=token, log_filename="l", this_call=call)


@pytest.mark.parametrize("token", ["t", 'a"b\\', "Grüße/\u2028", "[private]", ""])
def test_token_of_a_request_is_masked(token: str) -> None:
    shown = masked_info(info(token), token)
    assert json.loads(shown) == {**json.loads(info(token)), "token": "[private]"}
    assert shown == masked_body(info(token)) == masked_info(info(token), "another than it was made with")


def test_request_without_a_token_is_shown_as_it_is() -> None:
    assert masked_info(info(None), None).encode() == info(None)


def test_parameters_cannot_hide_a_token_by_looking_like_a_masked_one() -> None:
    parameters = '"token":"[private]","token":null'
    assert json.loads(masked_info(info("t", parameters), None))["token"] == "[private]"


def test_user_information_is_taken_out_of_urls_in_parameters() -> None:
    shown = json.loads(masked_info(info("t", "https://u:p@host/x"), "t"))
    assert shown["this_call"]["application_parameters"] == "https://host/x"
