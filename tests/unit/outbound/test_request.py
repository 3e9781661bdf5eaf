from __future__ import annotations

import json
from typing import Any

import pytest

from callwright.accounts.account import AccountType
from callwright.outbound.request import (
    MAX_STARTS,
    ProblemKind,
    RequestProblems,
    StartRequest,
    digest,
    parse_rest_calls,
    parse_uas_starts,
    parse_unique_id,
)

TEL = {"to": "tel:443069990123", "from": "441908273800"}


def rest(source: object, account_type: AccountType = AccountType.PREMIUM, **other: Any) -> list[StartRequest]:
    text = source if isinstance(source, str | bytes) or source is None else json.dumps(source)
    return parse_rest_calls(text, account_type=account_type, **other)


def problems(source: object, account_type: AccountType = AccountType.PREMIUM, **other: Any) -> list[tuple[str, str]]:
    with pytest.raises(RequestProblems) as caught:
        rest(source, account_type, **other)
    return [(problem.kind.value, problem.field) for problem in caught.value.problems]


def uas(
    *,
    count: str | None = None,
    delimiter: str | None = None,
    parameters: str | None = None,
    account_type: AccountType = AccountType.PREMIUM,
) -> list[str | None]:
    parsed = parse_uas_starts(
        count=count, delimiter=delimiter, outbound_parameters=parameters, account_type=account_type
    )
    assert all(start.given_to is None for start in parsed)
    return [start.outbound_parameters for start in parsed]


def uas_problems(**parameters: Any) -> list[tuple[str, str]]:
    with pytest.raises(RequestProblems) as caught:
        uas(**parameters)
    return [(problem.kind.value, problem.field) for problem in caught.value.problems]


def test_one_object_is_one_start_with_everything_it_says() -> None:
    (start,) = rest(
        TEL
        | {
            "token": "tok",
            "outbound_parameters": "par",
            "extra_sip_headers": [{"name": "X-Campaign", "value": "spring"}],
        }
    )
    assert start == StartRequest(
        given_to="tel:443069990123",
        given_from="441908273800",
        token="tok",
        outbound_parameters="par",
        extra_sip_headers=(("X-Campaign", "spring"),),
    )


def test_a_list_keeps_its_order() -> None:
    calls = [TEL | {"token": str(n)} for n in range(50)]
    assert [start.token for start in rest(calls)] == [str(n) for n in range(50)]


def test_null_means_not_given_and_empty_text_stays_empty() -> None:
    (start,) = rest({"to": "sip:bob@example.com", "from": None, "token": "", "outbound_parameters": None})
    assert (start.given_from, start.token, start.outbound_parameters) == ("", "", None)


def test_unknown_properties_are_ignored() -> None:
    assert rest(TEL | {"urgency": 7, "due_at": {}}) == rest(TEL)


def test_a_value_parsed_by_the_caller_is_accepted() -> None:
    assert parse_rest_calls([dict(TEL)], account_type=AccountType.DEVELOPER) == rest(TEL)


@pytest.mark.parametrize("source", [None, "", b""])
def test_a_missing_parameter_is_named(source: object) -> None:
    assert problems(source) == [("missing", "rest_calls")]


def test_the_alias_is_named_when_the_client_used_it() -> None:
    assert problems([{}], parameter="outbound_parameters") == [("invalid", "outbound_parameters[0].to")]


@pytest.mark.parametrize("source", ["{", "[", '{"to": "\\ud800"}', "null", "7", '"tel:1"', b"\xff\xfe", "[" * 200_000])
def test_text_that_is_not_a_call_or_a_list_of_calls_is_invalid(source: object) -> None:
    assert problems(source) == [("invalid", "rest_calls")]


def test_an_empty_list_is_the_zero_problem() -> None:
    assert problems([]) == [("zero", "rest_calls")]


def test_more_calls_than_the_limit_are_too_many() -> None:
    assert problems([TEL] * (MAX_STARTS + 1)) == [("too_many", "rest_calls")]


def test_the_limit_itself_is_accepted() -> None:
    assert len(rest([TEL] * MAX_STARTS)) == MAX_STARTS


def test_a_developer_account_may_send_a_list_of_one_but_not_of_two() -> None:
    assert len(rest([TEL], AccountType.DEVELOPER)) == 1
    assert problems([TEL, TEL], AccountType.DEVELOPER) == [("forbidden", "rest_calls")]


def test_every_problem_of_every_call_is_reported_and_nothing_is_accepted() -> None:
    calls = [
        TEL,
        {"from": "441908273800"},
        "tel:1",
        {"to": "tel:0123", "from": 5, "token": "x" * 5001},
        {"to": "tel:443069990123"},
    ]
    assert problems(calls) == [
        ("invalid", "rest_calls[1].to"),
        ("invalid", "rest_calls[2]"),
        ("invalid", "rest_calls[3].to"),
        ("invalid", "rest_calls[3].from"),
        ("invalid", "rest_calls[3].token"),
        ("invalid", "rest_calls[4].from"),
    ]


def test_a_token_of_5000_characters_is_the_longest() -> None:
    assert rest(TEL | {"token": "ä" * 5000})[0].token == "ä" * 5000
    assert problems(TEL | {"token": "ä" * 5001}) == [("invalid", "rest_calls.token")]


@pytest.mark.parametrize("field", ["token", "outbound_parameters"])
@pytest.mark.parametrize("value", [5, True, ["x"], {}, "a\0b"])
def test_texts_must_be_strings_without_nul(field: str, value: object) -> None:
    assert problems(TEL | {field: value}) == [("invalid", f"rest_calls.{field}")]


@pytest.mark.parametrize("to", ["tel:443069990123", "443069990123", "4430-6999-0123"])
@pytest.mark.parametrize("given", [{}, {"from": None}, {"from": ""}])
def test_a_telephone_number_needs_a_caller_id(to: str, given: dict[str, object]) -> None:
    assert problems({"to": to} | given) == [("invalid", "rest_calls.from")]


@pytest.mark.parametrize("to", ["sip:bob@example.com", "bob@example.com", "loc:Desk", "con:Room", "wss://h/p"])
def test_other_destinations_need_none(to: str) -> None:
    assert rest({"to": to})[0].given_from == ""


@pytest.mark.parametrize("given", ["01908273800", "44--1908", "1", "9" * 19])
def test_a_number_in_from_must_be_international_when_a_number_is_called(given: str) -> None:
    assert problems(TEL | {"from": given}) == [("invalid", "rest_calls.from")]


@pytest.mark.parametrize("given", ["441908273800", "+44-1908-273800", "bob", "bob@example.com", "b%20b@[::1]:5060"])
def test_a_caller_id_is_a_number_or_a_sip_user(given: str) -> None:
    assert rest(TEL | {"from": given})[0].given_from == given


@pytest.mark.parametrize("given", ["bob\r\nVia: x", "bob smith", "<sip:bob>", 'b"b', "bob@", "x" * 256, "bøb", "b\0b"])
def test_a_caller_id_cannot_smuggle_anything_into_a_sip_message(given: str) -> None:
    assert problems({"to": "sip:bob@example.com", "from": given}) == [("invalid", "rest_calls.from")]


@pytest.mark.parametrize("name", ["X-Campaign", "x-a", "User-to-User", "USER-TO-USER", "Call-Info"])
def test_allowed_headers_pass(name: str) -> None:
    (start,) = rest(TEL | {"extra_sip_headers": [{"name": name, "value": "ü; a=b\t1"}]})
    assert start.extra_sip_headers == ((name, "ü; a=b\t1"),)


@pytest.mark.parametrize(
    "name",
    [
        "P-Asserted-Identity",
        "From",
        "X-",
        "X-a b",
        "X-a:",
        "X-a\r\nFrom",
        "",
        "Call-Info ",
        "X-" + "a" * 99,
        "Xx",
        "X-é",
    ],
)
def test_other_headers_are_refused(name: str) -> None:
    call = TEL | {"extra_sip_headers": [{"name": "X-Fine", "value": "1"}, {"name": name, "value": "1"}]}
    assert problems(call) == [("invalid", "rest_calls.extra_sip_headers[1]")]


@pytest.mark.parametrize("value", ["a\r\nVia: x", "a\n", "a\0", "\x1b", "v" * 2001, None, 5])
def test_header_values_must_be_one_clean_line(value: object) -> None:
    call = TEL | {"extra_sip_headers": [{"name": "X-A", "value": value}]}
    assert problems(call) == [("invalid", "rest_calls.extra_sip_headers[0]")]


def test_a_header_is_given_once_whatever_its_case() -> None:
    twice = [{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}]
    assert problems(TEL | {"extra_sip_headers": twice}) == [("invalid", "rest_calls.extra_sip_headers[1]")]


@pytest.mark.parametrize("headers", ["X-A: 1", {"X-A": "1"}, [{"name": f"X-{n}", "value": ""} for n in range(21)]])
def test_headers_are_a_list_of_bounded_length(headers: object) -> None:
    assert problems(TEL | {"extra_sip_headers": headers}) == [("invalid", "rest_calls.extra_sip_headers")]


def test_the_text_of_the_exception_names_the_field() -> None:
    with pytest.raises(RequestProblems, match=r"rest_calls\[1\]\.to: .*missing") as caught:
        rest([TEL, {}])
    assert caught.value.field == "rest_calls[1].to"


def test_uas_count_makes_equal_starts_and_is_one_by_default() -> None:
    assert uas(parameters="a") == ["a"]
    assert uas() == [None]
    assert uas(count="3", parameters="a") == ["a", "a", "a"]


def test_uas_delimiter_makes_one_start_per_piece_and_overrules_count() -> None:
    assert uas(count="0", delimiter=";", parameters="a;b;;c") == ["a", "b", "", "c"]
    assert uas(delimiter="|", parameters="a|b") == ["a", "b"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"count": "0"}, ("zero", "count")),
        ({"count": "-1"}, ("invalid", "count")),
        ({"count": "1.5"}, ("invalid", "count")),
        ({"count": ""}, ("invalid", "count")),
        ({"count": "²"}, ("invalid", "count")),
        ({"count": str(MAX_STARTS + 1)}, ("too_many", "count")),
        ({"count": "9" * 5000}, ("invalid", "count")),
        ({"delimiter": ";;"}, ("invalid", "delimiter")),
        ({"delimiter": "ä"}, ("invalid", "delimiter")),
        ({"delimiter": ";", "parameters": ";" * MAX_STARTS}, ("too_many", "outbound_parameters")),
        ({"delimiter": ";", "parameters": "a;b^"}, ("invalid", "outbound_parameters[1]")),
        ({"parameters": "a|b"}, ("invalid", "outbound_parameters")),
        ({"parameters": "é"}, ("invalid", "outbound_parameters")),
        ({"parameters": "a\n"}, ("invalid", "outbound_parameters")),
        ({"parameters": "\x7f"}, ("invalid", "outbound_parameters")),
        ({"parameters": "a" * 65_537}, ("invalid", "outbound_parameters")),
        ({"count": "2", "account_type": AccountType.DEVELOPER}, ("forbidden", "count")),
        ({"delimiter": ";", "account_type": AccountType.DEVELOPER}, ("forbidden", "delimiter")),
    ],
)
def test_uas_parameters_that_cannot_be_accepted(parameters: dict[str, Any], expected: tuple[str, str]) -> None:
    assert uas_problems(**parameters) == [expected]


def test_a_developer_account_may_say_count_1() -> None:
    assert uas(count="1", account_type=AccountType.DEVELOPER) == [None]


def test_the_digest_sees_meaning_and_not_spelling() -> None:
    spelt = rest('{"from":"441908273800",  "to":"tel:443069990123", "token":null, "other": 1}')
    assert digest("calls", spelt) == digest("calls", rest(TEL))
    assert len(digest("calls", spelt)) == 32


@pytest.mark.parametrize(
    "change",
    [{"to": "tel:443069990124"}, {"from": "1234"}, {"token": ""}, {"outbound_parameters": ""}],
)
def test_the_digest_changes_with_anything_asked_for(change: dict[str, str]) -> None:
    assert digest("calls", rest(TEL | change)) != digest("calls", rest(TEL))
    assert digest("other", rest(TEL)) != digest("calls", rest(TEL))


@pytest.mark.parametrize("text", ["a", "x" * 255, "0f1e2d3c-0000-4000-8000-000000000000", "ü"])
def test_unique_ids_are_printable_text(text: str) -> None:
    assert parse_unique_id(text) == text


@pytest.mark.parametrize("text", [None, ""])
def test_no_unique_id_is_none(text: str | None) -> None:
    assert parse_unique_id(text) is None


@pytest.mark.parametrize("text", ["x" * 256, "a\n", "a\0", "\u202e"])
def test_other_unique_ids_are_invalid(text: str) -> None:
    with pytest.raises(RequestProblems) as caught:
        parse_unique_id(text)
    assert [(problem.kind, problem.field) for problem in caught.value.problems] == [(ProblemKind.INVALID, "unique_id")]


def test_json_of_endless_small_parts_is_refused_before_it_is_taken_apart() -> None:
    [(kind, field)] = problems(b"[" + b"{}," * 2_000_001 + b"{}]")
    assert (kind, field) == ("invalid", "rest_calls")
    assert uas_problems(delimiter="|", parameters="|" * 3_000_000) == [("too_many", "outbound_parameters")]


def test_letters_and_digits_of_other_scripts_stand_for_no_others() -> None:
    kelvin = TEL | {"extra_sip_headers": [{"name": "X-\u212aelvin", "value": "1"}]}
    assert problems(kelvin) == [("invalid", "rest_calls.extra_sip_headers[0]")]
    assert problems({"to": "sip:bob@192.0.2.1", "from": "ann@example.com:\uff15"}) == [("invalid", "rest_calls.from")]
