from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.accounts.credentials import UserName
from callwright.web.auth import ACCOUNT_FORM, SERVICE_FORM, Login, read_login
from callwright.web.errors import HttpProblem

BOTH = (ACCOUNT_FORM, SERVICE_FORM)


def _header(text: str, charset: str = "utf-8") -> str:
    return "Basic " + base64.b64encode(text.encode(charset)).decode()


def _refusal(header: str | None, forms: tuple[str, ...] = BOTH) -> HttpProblem:
    with pytest.raises(HttpProblem) as raised:
        read_login(header, forms=forms)
    return raised.value


def test_two_parts_are_the_account_form_and_three_the_service_form() -> None:
    assert read_login(_header("0-0-0/bob@example.com:key"), forms=BOTH) == Login(
        user=UserName(cloud_id="0-0-0", username="bob@example.com", service_name=None), password="key"
    )
    login = read_login(_header("0-0-0/bob@example.com/My Service:pw"), forms=BOTH)
    assert (login.user.username, login.user.service_name, login.password) == ("bob@example.com", "My Service", "pw")


def test_a_password_may_contain_colons_slashes_and_nothing_at_all() -> None:
    assert read_login(_header("0-0-0/b/s:a:b/c:"), forms=BOTH).password == "a:b/c:"
    assert read_login(_header("0-0-0/b/s:"), forms=BOTH).password == ""


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_credentials_are_utf_8_or_else_latin_1(charset: str) -> None:
    login = read_login(_header("0-0-0/j\u00fcrgen:gr\u00fc\u00df", charset), forms=BOTH)
    assert (login.user.username, login.password) == ("j\u00fcrgen", "gr\u00fc\u00df")


def test_the_scheme_is_read_in_any_case() -> None:
    header = _header("0-0-0/bob:key").replace("Basic", "bASIC ")
    assert read_login(header, forms=BOTH).user.username == "bob"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + "QUJD" * 2000,
        "Bearer abc",
        _header("no colon"),
        _header("0-0-0:x"),
        _header("0-0-0/:x"),
        _header("0-0-0/b/:x"),
        _header("/b/s:x"),
        _header("0-0-0/b/s/t:x"),
        _header("0-0-0/b\0/s:x"),
    ],
)
def test_what_is_not_a_login_is_401_with_the_challenge(header: str | None) -> None:
    refusal = _refusal(header)
    assert refusal.status == 401
    assert refusal.headers["WWW-Authenticate"].startswith('Basic realm="callwright"')
    assert refusal.text.startswith("Unauthorized: ")
    assert "cloudID/username" in refusal.text


def test_the_form_an_operation_does_not_take_is_401() -> None:
    assert _refusal(_header("0-0-0/bob:key"), (SERVICE_FORM,)).status == 401
    assert _refusal(_header("0-0-0/bob/s:pw"), (ACCOUNT_FORM,)).status == 401


def test_the_password_does_not_show_in_a_login() -> None:
    login = read_login(_header("0-0-0/bob:hunter2"), forms=BOTH)
    assert "hunter2" not in repr(login)


@given(st.text(max_size=60) | st.binary(max_size=40).map(lambda raw: "Basic " + base64.b64encode(raw).decode()))
def test_garbage_is_a_login_or_401(header: str) -> None:
    try:
        login = read_login(header, forms=BOTH)
    except HttpProblem as refusal:
        outcome = refusal.status
    else:
        outcome = 200 if login.user.cloud_id and login.user.username else 500
    assert outcome in (200, 401)
