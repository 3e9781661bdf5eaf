from __future__ import annotations

import json
from pathlib import Path

import pytest

from callwright.apps.rest.actions import ACTIONS, NOT_AVAILABLE, Action
from callwright.apps.rest.document import (
    MAX_JSON_PARTS,
    ActionResult,
    CallInfo,
    CallState,
    ErrorResult,
    PageAnswer,
    Token,
    action_names,
    call_address,
    instance_info,
    one_decimal,
    parse_response,
)
from callwright.apps.rest.fields import MAX_FINDINGS
from callwright.apps.rest.problem import Problem
from callwright.values.destination import parse_destination

PAGES = Path(__file__).parents[3] / "data" / "pages"
GOOD = sorted((PAGES / "good").glob("*.json"))
BAD = sorted((PAGES / "bad").glob("*.json"))

CALL = CallInfo(
    call_id="c.1.2",
    call_from="441908273800",
    call_to="441908000111",
    duration_s=0.47,
    state=CallState.ANSWERED,
    application_parameters="campaign=7",
    outbound_parameters="customer=991",
)


def parse(body: bytes) -> PageAnswer[Action]:
    return parse_response(body, ACTIONS, NOT_AVAILABLE)


def problem_of(body: bytes) -> Problem:
    with pytest.raises(Problem) as raised:
        parse(body)
    return raised.value


# --- answers


@pytest.mark.parametrize("sample", GOOD, ids=lambda path: path.stem)
def test_good_page_parses_into_one_action_for_each_element(sample: Path) -> None:
    body = sample.read_bytes()
    answer = parse(body)
    names = [next(iter(action)) for action in json.loads(body)["actions"]]
    assert [action.name for action in answer.actions] == names


@pytest.mark.parametrize("sample", BAD, ids=lambda path: path.stem)
def test_bad_page_is_refused_with_its_problem(sample: Path) -> None:
    case = json.loads(sample.read_bytes())
    assert problem_of(json.dumps(case["response"]).encode()).text == case["problem"]


def test_every_available_action_has_a_good_and_a_bad_sample() -> None:
    used = {name for sample in GOOD for action in json.loads(sample.read_bytes())["actions"] for name in action}
    assert used == set(ACTIONS)
    assert not NOT_AVAILABLE & set(ACTIONS)


@pytest.mark.parametrize("body", [b"", b"  \r\n"])
def test_empty_body_is_an_empty_list_that_keeps_the_token(body: bytes) -> None:
    assert parse(body) == PageAnswer(actions=(), token=Token.KEPT)


@pytest.mark.parametrize(
    ("given", "token"), [("", Token.KEPT), (', "token": null', None), (', "token": "a"', "a"), (', "token": ""', "")]
)
def test_token_is_kept_when_omitted_cleared_when_null_else_taken(given: str, token: object) -> None:
    assert parse(f'{{"api_version": "2.0", "actions": []{given}}}'.encode()).token == token


def test_unknown_properties_are_warnings_with_their_path() -> None:
    body = b'{"api_version": "2.0", "a": 1, "actions": [{"sleep": {"seconds": 1, "b": 2}}]}'
    assert parse(body).warnings == (
        "a: is unknown and is ignored",
        "actions[0].sleep.b: is unknown and is ignored",
    )


def test_all_problems_of_a_page_are_named() -> None:
    actions = [{"sleep": {}}, {"dance": {}}, {"record": {"format": "x", "seconds_max_duration": "1"}}]
    problem = problem_of(json.dumps({"api_version": "2.0", "actions": actions}).encode())
    assert problem.details == (
        "actions[0].sleep.seconds_duration: is missing",
        "actions[1].dance: there is no such action",
        "actions[2].record.format: must be one of alaw, ulaw",
        "actions[2].record.next_page: is missing",
        "actions[2].record.seconds_max_duration: must be an integer, not a string",
    )


def test_byte_order_mark_is_tolerated() -> None:
    assert parse(b'\xef\xbb\xbf{"api_version": "2.0", "actions": []}').actions == ()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "invalid response: is not JSON: Expecting value in line 1, column 1"),
        (
            b'{"api_version": "2.0",\n "actions": [}',
            "invalid response: is not JSON: Expecting value in line 2, column 14",
        ),
        (b'{"api_version": "\xff"}', "invalid response: is not JSON: it is not UTF-8 text"),
        (b"[" * 15_000, "invalid response: is not JSON: it is nested too deeply"),
        (b'"text"', "invalid response: must be a JSON object"),
        (b" " * 1_048_576 + b"{}", "invalid response: has more than 1048576 bytes"),
    ],
)
def test_body_that_is_no_json_object_is_refused(body: bytes, why: str) -> None:
    assert problem_of(body).text == why


def test_huge_integer_is_out_of_range_and_not_a_crash() -> None:
    body = '{"api_version": "2.0", "actions": [{"record": {"next_page": {"url": "x"}, "seconds_max_duration": 1%s}}]}'
    assert "seconds_max_duration" in problem_of((body % ("0" * 400)).encode()).text


# --- requests


def test_first_request_of_an_outbound_call_is_as_documented() -> None:
    body = instance_info(
        instance_id="0a1b2c3d4e5f6071.120034", token="order-7", log_filename="2026/01/31/rest_x.log", this_call=CALL
    )
    info = json.loads(body)
    assert list(info) == ["application_instance_id", "token", "log_filename", "is_notification", "this_call"]
    assert list(info["this_call"].items()) == [
        ("call_id", "c.1.2"),
        ("call_direction", "out"),
        ("call_from", "441908273800"),
        ("call_to", "441908000111"),
        ("call_target", "441908000111"),
        ("call_divert", ""),
        ("seconds_call_duration", 0.4),
        ("call_state", "answered"),
        ("application_parameters", "campaign=7"),
        ("outbound_parameters", "customer=991"),
    ]


def test_results_are_added_when_there_are_any_and_no_token_is_null() -> None:
    info = json.loads(
        instance_info(
            instance_id="i",
            token=None,
            log_filename="l",
            is_notification=True,
            action_result=ActionResult(action="record", result={"id": "1"}),
            error_result=ErrorResult(action="", result="internal error"),
        )
    )
    assert info == {
        "application_instance_id": "i",
        "token": None,
        "log_filename": "l",
        "is_notification": True,
        "action_result": {"action": "record", "result": {"id": "1"}},
        "error_result": {"action": "", "result": "internal error"},
    }


@pytest.mark.parametrize(
    ("destination", "shown"),
    [("tel:+44-1908", "441908"), ("441908", "441908"), ("sip:bob@example.net", "sip:bob@example.net")],
)
def test_call_address_is_digits_or_has_its_prefix(destination: str, shown: str) -> None:
    assert call_address(parse_destination(destination)) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(6.29, 6.2), (0.0, 0.0), (-3.0, 0.0), (120.0, 120.0)])
def test_durations_are_cut_to_one_decimal(seconds: float, shown: float) -> None:
    assert one_decimal(seconds) == shown


def test_empty_array_is_taken_for_an_action_without_properties() -> None:
    answer = parse(b'{"api_version": "2.0", "actions": [{"hang_up": []}]}')
    assert [action.name for action in answer.actions] == ["hang_up"]
    assert answer.warnings == ("actions[0].hang_up: should be an object, [] is taken for {}",)


def test_endless_list_of_mistakes_is_cut() -> None:
    body = b'{"api_version": "2.0", "actions": [' + b",".join([b"{}"] * 5_000) + b"]}"
    with pytest.raises(Problem) as caught:
        parse(body)
    assert len(caught.value.details) == MAX_FINDINGS + 1
    assert caught.value.details[-1] == "there is more: only the first 100 mistakes are told"


def test_names_of_actions_are_read_without_minding_what_is_in_them() -> None:
    body = (
        b'{"api_version": "2.0", "token": "t", "actions": [{"delete_file": {"filename": "x"}}, {"play": 5}, {"a": {}}]}'
    )
    assert action_names(body) == ("delete_file", "play", "a")
    assert action_names(b"") == ()
    with pytest.raises(Problem, match="invalid response: actions: is missing"):
        action_names(b'{"api_version": "2.0"}')


@pytest.mark.parametrize("part", [b"{}", b"[]", b'{"a": [1]}'])
def test_answer_of_countless_parts_is_refused_unread(part: bytes) -> None:
    body = b'{"api_version": "2.0", "actions": [' + b",".join([part] * MAX_JSON_PARTS) + b"]}"
    with pytest.raises(Problem, match="invalid response: has more than 20000 objects and arrays"):
        parse(body)
