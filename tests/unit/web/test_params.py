from __future__ import annotations

import tracemalloc
from contextlib import suppress
from urllib.parse import unquote_plus, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.web.errors import HttpProblem
from callwright.web.params import Parameters, read_parameters

FORM = "application/x-www-form-urlencoded"


def _multipart(*parts: tuple[str, bytes], boundary: str = "XyZ") -> tuple[str, bytes]:
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def test_query_and_form_body_are_merged() -> None:
    found = read_parameters(b"a=1&b=two%20words+here", FORM, b"c=%C3%BC&d=")
    assert found.values == {"a": ["1"], "b": ["two words here"], "c": ["\u00fc"], "d": [""]}


def test_a_body_without_a_content_type_is_read_as_a_form() -> None:
    assert read_parameters(b"", "", b"a=1").one("a") == "1"


def test_raw_bytes_in_a_form_are_text_too() -> None:
    assert read_parameters("a=\u00fc".encode(), FORM, "b=\u20ac".encode()).values == {"a": ["\u00fc"], "b": ["\u20ac"]}


def test_a_form_may_say_its_character_set() -> None:
    assert read_parameters(b"", f"{FORM}; charset=ISO-8859-1", b"a=%FC\xfc").one("a") == "\u00fc\u00fc"


def test_multipart_parts_are_parameters_also_when_they_are_files() -> None:
    content_type, body = _multipart(("a", b"1"), ("rest_calls", "[\u20ac]\r\n".encode()))
    body = body.replace(b'name="a"', b'name="a"; filename="a.txt"')
    assert read_parameters(b"b=2", content_type, body).values == {
        "a": ["1"],
        "rest_calls": ["[\u20ac]\r\n"],
        "b": ["2"],
    }


def test_members_of_a_json_object_are_parameters_and_lists_stay_json_text() -> None:
    body = b'{"unique_id": "x\\u00fc", "count": 3, "rest_calls": [{"to": "sip:a@b"}], "delimiter": null}'
    found = read_parameters(b"", "application/json; charset=utf-8", body)
    assert found.values == {"unique_id": ["x\u00fc"], "count": ["3"], "rest_calls": ['[{"to": "sip:a@b"}]']}


def test_a_json_body_gives_text_as_text_and_other_kinds_only_where_they_are_taken() -> None:
    body = b'{"service_refs": {"a": 1}, "unique_id": 7, "count": 3, "rest_calls": {"to": "sip:a@b"}, "fax": true}'
    found = read_parameters(b"", "application/json", body)
    assert found.one("count", also=("number",)) == "3"
    assert found.one("rest_calls", "outbound_parameters", also=("object", "array")) == '{"to": "sip:a@b"}'
    for name, why in (("service_refs", "must be a string"), ("unique_id", "must be a string"), ("fax", "a string")):
        with pytest.raises(HttpProblem, match=why):
            found.required(name)
    with pytest.raises(HttpProblem, match="must be a string or a number"):
        found.one("rest_calls", also=("number",))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "1", "a": "1"}',
        b'{"a": 123, "a": 12}',
        b'{"a": 12, "b": [1, {"a": "}"}], "\\u0061" : 123}',
        b'{"a": null, "a": "x"}',
    ],
)
def test_a_name_that_comes_twice_in_a_json_body_is_a_repeated_parameter(body: bytes) -> None:
    with pytest.raises(HttpProblem) as raised:
        read_parameters(b"", "application/json", body)
    assert (raised.value.number, raised.value.text) == ("0003", "Parameter given more than once: a")


def test_a_byte_order_mark_before_a_body_is_no_part_of_it() -> None:
    mark = b"\xef\xbb\xbf"
    assert read_parameters(b"", "application/json", mark + b'{"a": "1"}').one("a") == "1"
    assert read_parameters(b"", FORM, mark + b"a=1").one("a") == "1"


def test_escaped_slashes_of_either_case_are_slashes_and_nothing_else_changes() -> None:
    found = read_parameters(b"a=x%2Fy%2fz%252F%25%2F&b=%4%2F1%C3%BC", "", b"")
    assert found.values == {"a": ["x/y/z%2F%/"], "b": ["%4/1\u00fc"]}


def test_an_empty_body_is_fine_whatever_its_content_type() -> None:
    assert read_parameters(b"a=1", "application/json", b"").one("a") == "1"
    assert read_parameters(b"a=1", "image/png", b"").one("a") == "1"


def test_a_parameter_given_twice_is_error_0003_wherever_it_came() -> None:
    for found in (
        read_parameters(b"a=1&a=1", "", b""),
        read_parameters(b"a=1", FORM, b"a=1"),
        read_parameters(b"a=1", "application/json", b'{"a": "1"}'),
        read_parameters(b"alias=1", FORM, b"a=2"),
    ):
        with pytest.raises(HttpProblem) as raised:
            found.one("a", "alias")
        assert raised.value.number == "0003"
        assert raised.value.text.endswith(": a")


def test_a_missing_or_empty_mandatory_parameter_is_error_0001() -> None:
    for found in (Parameters(), read_parameters(b"a=", "", b"")):
        with pytest.raises(HttpProblem) as raised:
            found.required("a")
        assert raised.value.number == "0001"
        assert raised.value.text == "Missing mandatory parameter: a"


def test_an_alias_names_the_same_parameter() -> None:
    assert read_parameters(b"alias=1", "", b"").required("a", "alias") == "1"


@pytest.mark.parametrize(
    ("query", "content_type", "body", "words"),
    [
        (b"a=%FF", "", b"", ["a:", "utf-8", "percent"]),
        (b"a=\xff", "", b"", ["the query", "utf-8", "byte 2"]),
        (b"a=%00", "", b"", ["a:", "NUL"]),
        (b"%00a=1", "", b"", ["NUL"]),
        (b"", FORM, b"a=\xff", ["the body", "utf-8"]),
        (b"", f"{FORM}; charset=klingon", b"a=1", ["character set 'klingon'"]),
        (b"", "application/json", b"{", ["the body", "not a JSON object"]),
        (b"", "application/json", b"[1]", ["the body", "not a JSON object"]),
        (b"", "application/json", b'{"a": "\xff"}', ["the body", "utf-8"]),
        (b"", "application/json", b'{"a": "\\u0000"}', ["a:", "NUL"]),
        (b"", "application/json", b'{"a": ' + b"[" * 100_000, ["the body", "not a JSON object"]),
        (b"", "multipart/form-data", b"--x--", ["boundary"]),
        (b"", "multipart/form-data; boundary=x", b"nonsense", ["multipart"]),
        (b"", "multipart/form-data; boundary=x", b"--x\r\n\r\n1\r\n--x--\r\n", ["no name"]),
        (b"&".join(b"a%d=1" % n for n in range(1001)), "", b"", ["the query", "more than 1000"]),
        (b"a=1&" * 1001, "", b"", ["the query", "more than 1000"]),
    ],
)
def test_what_cannot_be_read_is_error_0002_naming_it(
    query: bytes, content_type: str, body: bytes, words: list[str]
) -> None:
    with pytest.raises(HttpProblem) as raised:
        read_parameters(query, content_type, body)
    assert raised.value.number == "0002"
    for word in words:
        assert word in raised.value.text


def test_a_multipart_body_that_ends_early_is_not_half_read() -> None:
    content_type, body = _multipart(("a", b"1"), ("b", b"2"))
    for end in range(1, len(body) - 4):
        with pytest.raises(HttpProblem) as raised:
            read_parameters(b"", content_type, body[:end])
        assert raised.value.number == "0002"


def test_a_body_of_another_type_is_415() -> None:
    with pytest.raises(HttpProblem) as raised:
        read_parameters(b"", "text/csv", b"a,b")
    assert raised.value.number == "415"
    assert "text/csv" in raised.value.text


TYPES = st.sampled_from(
    (
        "",
        FORM,
        "application/json",
        "multipart/form-data; boundary=x",
        'multipart/form-data; boundary="',
        f"{FORM}; charset=latin1",
    )
) | st.text(max_size=40)
PIECES = st.sampled_from(
    (
        b"--x",
        b"--x--",
        b"\r\n",
        b'Content-Disposition: form-data; name="a"',
        b"a=1",
        b"&",
        b"%",
        b'{"a":',
        b"}",
        b"[",
        b"null",
    )
)
BODIES = st.binary(max_size=60) | st.lists(PIECES | st.binary(max_size=3), max_size=12).map(b"".join)


@given(query=BODIES, content_type=TYPES, body=BODIES)
def test_garbage_is_read_or_refused_as_the_fault_of_the_client(query: bytes, content_type: str, body: bytes) -> None:
    try:
        found = read_parameters(query, content_type, body)
    except HttpProblem as refusal:
        outcome = refusal.number
    else:
        outcome = "NUL" if any("\0" in value for values in found.values.values() for value in values) else "read"
    assert outcome in ("read", "0002", "415")


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_what_a_client_encodes_is_what_is_read(parameters: dict[str, str]) -> None:
    sent = {name: value for name, value in parameters.items() if "\0" not in name + value}
    encoded = urlencode(sent, errors="surrogatepass").encode()
    as_json = msgspec.json.encode(sent)
    expected = {name: [value] for name, value in sent.items()}
    assert read_parameters(encoded, "", b"").values == expected
    assert read_parameters(b"", FORM, encoded).values == expected
    assert read_parameters(b"", "application/json", as_json).values == expected


@given(
    st.lists(st.sampled_from(["%", "%4", "%41", "%C3%A9", "%c3%a9", "+", "é", "x", "%%", "%zz", "%0g"]), max_size=40)
)
def test_a_long_form_is_decoded_as_a_short_one(pieces: list[str]) -> None:
    value = "".join(pieces)
    long = value + "x" * (128 * 1024 - 1 - len(value)) + value  # also across the pieces it is decoded in
    [found] = read_parameters(b"", FORM, f"a={long}".encode()).values["a"]
    assert found == unquote_plus(long, errors="strict")


def test_a_long_form_with_broken_text_is_refused() -> None:
    with pytest.raises(HttpProblem, match="not text in utf-8"):
        read_parameters(b"", FORM, b"a=" + b"x" * 100_000 + b"%C3%28")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"a=" + b"%" * 3_000_000),
        (FORM, b"%41" * 1_000_000 + b"=a"),
        (FORM, b"&" * 3_000_000),
        ("application/json", b"{" + b",".join(b'"k%d":1' % n for n in range(30_000)) + b"}"),
        ("application/json", b'{"rest_calls":[' + b"{}," * 2_000_001 + b"{}]}"),
        _multipart(*(("a", b"1") for _ in range(3_000))),
    ],
)
def test_no_body_takes_up_many_times_its_size(content_type: str, body: bytes) -> None:
    tracemalloc.start()
    try:
        with suppress(HttpProblem):
            read_parameters(b"", content_type, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000 + 4 * len(body)
