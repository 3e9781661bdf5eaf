from __future__ import annotations

import pytest

from callwright.accounts.service import (
    Page,
    check_page,
    check_password,
    check_ring_timeout,
    check_service_name,
)
from callwright.values.errors import RequestError

GOOD_URLS = [
    "http://127.0.0.1:8000/first",
    "https://app.example.com/first?a=b&c=%20",
    "HTTPS://user:pa%3Ass@app.example.com/",
    "http://[::1]:8080/first",
]

BAD_URLS = [
    ("", "must begin with http"),
    ("app.example.com/first", "must begin with http"),
    ("ftp://app.example.com/first", "must begin with http"),
    ("javascript:alert(1)", "must begin with http"),
    ("http:///first", "names no host"),
    ("http://user@/first", "names no host"),
    ("http://app.example.com:99999/", "is not a URL"),
    ("http://app.example.com:eighty/", "is not a URL"),
    ("http://[::1/first", "is not a URL"),
    ("http://app.example.com/a b", "holds a space"),
    ("http://app.example.com/\r\nX: 1", "holds a space"),
    ("http://app.example.com/#part", "has a fragment"),
    ("http://app.example.com/" + "a" * 2048, "is longer than"),
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_a_page_is_an_absolute_url_and_may_hold_a_user(url: str) -> None:
    assert check_page(Page(url=url), field="first_page") == Page(url=url)


@pytest.mark.parametrize(("url", "problem"), BAD_URLS)
def test_an_impossible_page_is_refused_with_its_field(url: str, problem: str) -> None:
    with pytest.raises(RequestError, match=problem) as refused:
        check_page(Page(url=url), field="final_page")
    assert refused.value.field == "final_page"
    assert str(refused.value).startswith("final_page")


def test_the_password_of_a_page_is_not_told() -> None:
    with pytest.raises(RequestError) as refused:
        check_page(Page(url="ftp://bob:s3cret@example.com/"), field="first_page")
    assert "s3cret" not in str(refused.value)


def test_a_page_is_asked_for_with_get_or_post() -> None:
    with pytest.raises(RequestError, match="GET or POST"):
        check_page(Page(url="http://example.com/", method="PUT"), field="error_page")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["reminder", "My Service", "réveil", "a" * 255])
def test_a_service_name_may_be_nearly_anything(name: str) -> None:
    assert check_service_name(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "a:b", " a", "a ", "a\nb", "a" * 256])
def test_a_service_name_that_would_be_ambiguous_is_refused(name: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_service_name(name)
    assert refused.value.field == "name"


@pytest.mark.parametrize("password", ["s3cret", "with:colon:", " ", "ключ", "x" * 1024])
def test_a_service_password_has_no_restrictions_but_length(password: str) -> None:
    assert check_password(password) == password


@pytest.mark.parametrize("password", ["", "x" * 1025])
def test_an_empty_or_endless_password_is_refused(password: str) -> None:
    with pytest.raises(RequestError) as refused:
        check_password(password)
    assert refused.value.field == "password"


@pytest.mark.parametrize("seconds", [0.0, 0.5, 601.0, float("nan"), -1.0])
def test_ringing_has_limits(seconds: float) -> None:
    with pytest.raises(RequestError):
        check_ring_timeout(seconds)
